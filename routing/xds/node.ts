/**
 * What an agent says of one of its workloads when it opens an ADS stream: the metadata of the xDS node.
 *
 * Each workload is a node of its own, on a stream of its own, authenticated by its own certificate; the control plane
 * trusts `namespace` and `serviceAccount` only when they are those of the certificate. Names in capitals follow
 * Istio's node metadata; this form is the wire between the two halves.
 */
import type { JsonObject } from "@bufbuild/protobuf";

/** A port of the workload's service, and where the application listens. */
export interface WorkloadPort {
  name: string;
  /** The service's port number: what callers name. */
  number: number;
  /** `HTTP`, `HTTP2`, `GRPC`, `TCP` …; may be empty: then the name decides. */
  protocol: string;
  /** IP address or `unix:/path` of the application. */
  targetAddress: string;
  /** 0 for a Unix socket. */
  targetPort: number;
}

export interface WorkloadNode {
  /** Name of the agent (metadata.name of agent.yaml). */
  agent: string;
  /** Name of the workload, unique on its agent; also Istio's `WORKLOAD_NAME`. */
  workload: string;
  namespace: string;
  serviceAccount: string;
  /** Short name of the service the workload belongs to; empty for a workload that serves nothing. */
  service: string;
  labels: Record<string, string>;
  /** Address that peers dial. */
  address: string;
  /** Port of the agent's inbound listener. */
  inboundPort: number;
  /** Address and port of the HTTP proxy listener that is this workload's alone; `null`: it has none. */
  httpProxy: { address: string; port: number } | null;
  locality: string;
  ports: WorkloadPort[];
  /** Version of skiff, for `proxy-status`. */
  version: string;
}

/** The node id, in Istio's form: `sidecar~ADDRESS~WORKLOAD.AGENT~NAMESPACE.svc.DOMAIN`. */
export function nodeId(node: WorkloadNode, domain = "cluster.local"): string {
  return `sidecar~${node.address}~${node.workload}.${node.agent}~${node.namespace}.svc.${domain}`;
}

/** The node as `envoy.config.core.v3.Node.metadata`. */
export function nodeToMetadata(node: WorkloadNode): JsonObject {
  return {
    AGENT: node.agent,
    WORKLOAD_NAME: node.workload,
    NAMESPACE: node.namespace,
    SERVICE_ACCOUNT: node.serviceAccount,
    SERVICE: node.service,
    LABELS: node.labels,
    ADDRESS: node.address,
    INBOUND_PORT: node.inboundPort,
    HTTP_PROXY: node.httpProxy === null ? null : { ADDRESS: node.httpProxy.address, PORT: node.httpProxy.port },
    LOCALITY: node.locality,
    PORTS: node.ports.map((port) => ({
      NAME: port.name,
      NUMBER: port.number,
      PROTOCOL: port.protocol,
      TARGET_ADDRESS: port.targetAddress,
      TARGET_PORT: port.targetPort,
    })),
    SKIFF_VERSION: node.version,
  };
}
