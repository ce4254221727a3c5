/** One resource off the wire as the data threads' configuration. */
import type { ClusterConfig, EndpointsConfig, ListenerConfig, RouteConfig, SecretConfig } from "../config/model.ts";
import type { DnsCluster } from "./dns_endpoints.ts";
import type { DynamicCluster } from "./dynamic_names.ts";
import type { ResourceType } from "./type_urls.ts";

/** What one resource amounts to: a listener may bring routes of its own, a static cluster its endpoints. */
export interface Translated {
  clusters: ClusterConfig[];
  endpoints: EndpointsConfig[];
  /** Clusters with names among their endpoints; absent: none. */
  dns?: DnsCluster[];
  /** Clusters whose requests name their hosts; absent: none. */
  dynamic?: DynamicCluster[];
  routes: RouteConfig[];
  listeners: ListenerConfig[];
  /** Certificates and trust bundles that stand in the resource. */
  secrets: SecretConfig[];
}

/** Translates the protobuf bytes of a resource. Throws what says which field is not implemented. */
export type Translate = (type: ResourceType, name: string, value: Uint8Array) => Translated;
