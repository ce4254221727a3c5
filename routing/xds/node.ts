/**
 * What an agent says of one of its workloads when it opens an ADS stream: the metadata of the xDS node.
 *
 * Each workload is a node of its own, on a stream of its own, authenticated by its own certificate; the control plane
 * trusts `namespace` and `serviceAccount` only when they are those of the certificate. Names in capitals follow
 * Istio's node metadata; this form is the wire between the two halves.
 */
import type { JsonObject, JsonValue } from "@bufbuild/protobuf";

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
  /** `router`: the agent's gateway, which serves the Gateways that select its labels; absent: a workload. */
  type?: "router";
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
  /**
   * Range of loopback addresses on which the agent listens for services, `127.64.0.0/16`. Absent: none, since the agent
   * has several workloads and could not tell whose a connection is.
   */
  vipRange?: string;
  /** The lowest port that the agent may listen on; absent: any. */
  lowestPort?: number;
  locality: string;
  ports: WorkloadPort[];
  /** Version of skiff, for `proxy-status`. */
  version: string;
  /** What takes the configuration, where it is no skiff agent. */
  software?: ForeignSoftware;
}

/**
 * A stock Envoy, with the directories in which it finds its workload's certificate and the credentials that resources
 * name; or a gRPC library of a proxyless client.
 */
export type ForeignSoftware =
  | { kind: "envoy"; secretDirectory: string; credentialDirectory: string }
  | { kind: "grpc" };

/** The node id, in Istio's form: `sidecar~ADDRESS~WORKLOAD.AGENT~NAMESPACE.svc.DOMAIN`. */
export function nodeId(node: WorkloadNode, domain = "cluster.local"): string {
  return `${node.type ?? "sidecar"}~${node.address}~${node.workload}.${node.agent}~${node.namespace}.svc.${domain}`;
}

/** The node as `envoy.config.core.v3.Node.metadata`. */
export function nodeToMetadata(node: WorkloadNode): JsonObject {
  return {
    ...(node.type === undefined ? {} : { TYPE: node.type }),
    AGENT: node.agent,
    WORKLOAD_NAME: node.workload,
    NAMESPACE: node.namespace,
    SERVICE_ACCOUNT: node.serviceAccount,
    SERVICE: node.service,
    LABELS: node.labels,
    ADDRESS: node.address,
    INBOUND_PORT: node.inboundPort,
    HTTP_PROXY: node.httpProxy === null ? null : { ADDRESS: node.httpProxy.address, PORT: node.httpProxy.port },
    ...(node.vipRange === undefined ? {} : { VIP_RANGE: node.vipRange }),
    ...(node.lowestPort === undefined ? {} : { LOWEST_PORT: node.lowestPort }),
    LOCALITY: node.locality,
    PORTS: node.ports.map((port) => ({
      NAME: port.name,
      NUMBER: port.number,
      PROTOCOL: port.protocol,
      TARGET_ADDRESS: port.targetAddress,
      TARGET_PORT: port.targetPort,
    })),
    SKIFF_VERSION: node.version,
    ...(node.software === undefined ? {} : {
      SOFTWARE: {
        KIND: node.software.kind,
        ...(node.software.kind === "grpc" ? {} : {
          SECRET_DIRECTORY: node.software.secretDirectory,
          CREDENTIAL_DIRECTORY: node.software.credentialDirectory,
        }),
      },
    }),
  };
}

/** Node metadata that is not what {@link nodeToMetadata} writes. */
export class NodeMetadataError extends Error {
  override readonly name = "NodeMetadataError";

  /** @param field the path of the field, such as `PORTS[0].NUMBER` */
  constructor(readonly field: string, expected: string, found: JsonValue | undefined) {
    super(
      `node metadata: ${field}: want ${expected}, found ${found === undefined ? "nothing" : JSON.stringify(found)}`,
    );
  }
}

/**
 * The inverse of {@link nodeToMetadata}. Fields it does not know are left alone, so that agents may be newer.
 *
 * @throws {NodeMetadataError} when a field is absent or of another type; the error names it
 */
export function nodeFromMetadata(metadata: JsonObject): WorkloadNode {
  const proxy = metadata.HTTP_PROXY;
  if (metadata.TYPE !== undefined && metadata.TYPE !== "router") {
    throw new NodeMetadataError("TYPE", '"router" or nothing', metadata.TYPE);
  }
  return {
    ...(metadata.TYPE === undefined ? {} : { type: metadata.TYPE }),
    agent: textAt(metadata, "AGENT"),
    workload: textAt(metadata, "WORKLOAD_NAME"),
    namespace: textAt(metadata, "NAMESPACE"),
    serviceAccount: textAt(metadata, "SERVICE_ACCOUNT"),
    service: textAt(metadata, "SERVICE"),
    labels: labelsAt(metadata, "LABELS"),
    address: textAt(metadata, "ADDRESS"),
    inboundPort: portAt(metadata, "INBOUND_PORT"),
    httpProxy: proxy === null || proxy === undefined ? null : {
      address: textAt(objectAt(proxy, "HTTP_PROXY"), "ADDRESS", "HTTP_PROXY."),
      port: portAt(objectAt(proxy, "HTTP_PROXY"), "PORT", "HTTP_PROXY."),
    },
    ...(metadata.VIP_RANGE === undefined ? {} : { vipRange: textAt(metadata, "VIP_RANGE") }),
    ...(metadata.LOWEST_PORT === undefined ? {} : { lowestPort: portAt(metadata, "LOWEST_PORT") }),
    locality: textAt(metadata, "LOCALITY"),
    ports: portsAt(metadata),
    version: textAt(metadata, "SKIFF_VERSION"),
    ...(metadata.SOFTWARE === undefined ? {} : { software: softwareAt(metadata, "SOFTWARE") }),
  };
}

function softwareAt(metadata: JsonObject, field: string): ForeignSoftware {
  const object = objectAt(metadata[field], field);
  const kind = textAt(object, "KIND", `${field}.`);
  if (kind === "grpc") return { kind };
  if (kind !== "envoy") throw new NodeMetadataError(`${field}.KIND`, '"envoy" or "grpc"', kind);
  return {
    kind,
    secretDirectory: textAt(object, "SECRET_DIRECTORY", `${field}.`),
    credentialDirectory: textAt(object, "CREDENTIAL_DIRECTORY", `${field}.`),
  };
}

function portsAt(metadata: JsonObject): WorkloadPort[] {
  const ports = metadata.PORTS;
  if (!Array.isArray(ports)) throw new NodeMetadataError("PORTS", "a list", ports);
  return ports.map((value, index) => {
    const port = objectAt(value, `PORTS[${index}]`);
    const path = `PORTS[${index}].`;
    return {
      name: textAt(port, "NAME", path),
      number: portAt(port, "NUMBER", path),
      protocol: textAt(port, "PROTOCOL", path),
      targetAddress: textAt(port, "TARGET_ADDRESS", path),
      targetPort: portAt(port, "TARGET_PORT", path, 0),
    };
  });
}

function textAt(object: JsonObject, field: string, path = ""): string {
  const value = object[field];
  if (typeof value !== "string") throw new NodeMetadataError(path + field, "text", value);
  return value;
}

function portAt(object: JsonObject, field: string, path = "", minimum = 1): number {
  const value = object[field];
  if (typeof value !== "number" || !Number.isInteger(value) || value < minimum || value > 65535) {
    throw new NodeMetadataError(path + field, `a port number from ${minimum} to 65535`, value);
  }
  return value;
}

function objectAt(value: JsonValue | undefined, path: string): JsonObject {
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw new NodeMetadataError(path, "an object", value);
  }
  return value;
}

function labelsAt(metadata: JsonObject, field: string): Record<string, string> {
  const object = objectAt(metadata[field], field);
  return Object.fromEntries(Object.keys(object).map((key) => [key, textAt(object, key, `${field}.`)]));
}
