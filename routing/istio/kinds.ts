/** Which kinds of resources there are, under which versions, and what reads their `spec`. */
import type { Schema } from "../yaml/schema.ts";
import { destinationRule } from "./schema/destination_rule.ts";
import { gateway } from "./schema/gateway.ts";
import { authorizationPolicy } from "./schema/security/authorization_policy.ts";
import { peerAuthentication } from "./schema/security/peer_authentication.ts";
import { requestAuthentication } from "./schema/security/request_authentication.ts";
import { kubernetesService } from "./schema/kubernetes_service.ts";
import { proxyConfig } from "./schema/proxy_config.ts";
import { serviceEntry } from "./schema/service_entry.ts";
import { sidecar } from "./schema/sidecar.ts";
import { telemetry } from "./schema/telemetry.ts";
import { virtualService } from "./schema/virtual_service.ts";
import { workloadEntry } from "./schema/workload_entry.ts";
import { workloadGroup } from "./schema/workload_group.ts";

export interface Kind {
  name: string;
  /** Empty: Kubernetes' own. */
  group: string;
  versions: readonly string[];
  /** `null`: recognised, kept unread, and not in force in this version. */
  spec: Schema<unknown> | null;
}

const networking = { group: "networking.istio.io", versions: ["v1", "v1beta1", "v1alpha3"] };
const security = { group: "security.istio.io", versions: ["v1", "v1beta1"] };
const telemetryGroup = { group: "telemetry.istio.io", versions: ["v1", "v1alpha1"] };
const extensions = { group: "extensions.istio.io", versions: ["v1alpha1"] };

export const kinds: readonly Kind[] = [
  { name: "VirtualService", ...networking, spec: virtualService },
  { name: "DestinationRule", ...networking, spec: destinationRule },
  { name: "ServiceEntry", ...networking, spec: serviceEntry },
  { name: "WorkloadEntry", ...networking, spec: workloadEntry },
  { name: "Service", group: "", versions: ["v1"], spec: kubernetesService },
  { name: "Gateway", ...networking, spec: gateway },
  { name: "Sidecar", ...networking, spec: sidecar },
  { name: "WorkloadGroup", ...networking, spec: workloadGroup },
  { name: "ProxyConfig", ...networking, versions: ["v1beta1"], spec: proxyConfig },
  { name: "EnvoyFilter", ...networking, versions: ["v1alpha3"], spec: null },
  { name: "PeerAuthentication", ...security, spec: peerAuthentication },
  { name: "RequestAuthentication", ...security, spec: requestAuthentication },
  { name: "AuthorizationPolicy", ...security, spec: authorizationPolicy },
  { name: "Telemetry", ...telemetryGroup, spec: telemetry },
  { name: "WasmPlugin", ...extensions, spec: null },
  { name: "TrafficExtension", ...extensions, spec: null },
];

/** `networking.istio.io` and `v1` of `networking.istio.io/v1`; the group of plain `v1` is empty. */
export function splitApiVersion(apiVersion: string): { group: string; version: string } {
  const slash = apiVersion.indexOf("/");
  return { group: apiVersion.slice(0, Math.max(slash, 0)), version: apiVersion.slice(slash + 1) };
}
