/** The ports on which a workload is reached: as its agent says, or as its Sidecar's ingress does. */
import type { IstioIngressListener, Sidecar } from "../../istio/sidecar_types.ts";
import type { ConnectionPoolSettings, ServerTLSSettings } from "../../istio/types.ts";
import type { WorkloadNode, WorkloadPort } from "../../xds/node.ts";
import type { MeshIndex } from "../mesh_index.ts";

/** A port of the workload with what a Sidecar says of it. */
export interface IngressPort extends WorkloadPort {
  /** Address to listen on; absent: the workload's. */
  bind?: string;
  /** TLS that callers outside the mesh speak. */
  tls?: ServerTLSSettings;
  /** In place of what DestinationRules say. */
  connectionPool?: ConnectionPoolSettings;
  /** For warnings; absent: no ingress listener speaks of the port. */
  origin?: { sidecar: Sidecar; field: string };
}

/** As in Istio a Sidecar with ingress listeners leaves out the ports that none of them names. */
export function ingressPorts(index: MeshIndex, node: WorkloadNode): IngressPort[] {
  const sidecar = index.sidecars.of(node);
  const { ingress = [], inboundConnectionPool } = sidecar?.spec ?? {};
  const pool = inboundConnectionPool === undefined ? {} : { connectionPool: inboundConnectionPool };
  if (sidecar === undefined || ingress.length === 0) return node.ports.map((port) => ({ ...port, ...pool }));
  return ingress.map((listener, place) => ({
    ...portOf(listener, node),
    ...pool,
    ...(listener.bind === undefined ? {} : { bind: listener.bind }),
    ...(listener.tls === undefined ? {} : { tls: listener.tls }),
    ...(listener.connectionPool === undefined ? {} : { connectionPool: listener.connectionPool }),
    origin: { sidecar, field: `ingress[${place}]` },
  }));
}

function portOf({ port, defaultEndpoint }: IstioIngressListener, node: WorkloadNode): WorkloadPort {
  const number = port.number ?? 0;
  const own = node.ports.find((each) => each.number === number);
  const { targetAddress, targetPort } = defaultEndpoint === undefined
    ? own ?? { targetAddress: "127.0.0.1", targetPort: number }
    : target(defaultEndpoint, node.address);
  return { name: port.name ?? "", number, protocol: port.protocol ?? "", targetAddress, targetPort };
}

/** Of `127.0.0.1:8080`, `[::1]:8080`, `0.0.0.0:8080` and `[::]:8080` (the workload's address), `unix:///path`. */
function target(endpoint: string, address: string): Pick<WorkloadPort, "targetAddress" | "targetPort"> {
  if (endpoint.startsWith("unix://")) {
    return { targetAddress: `unix:${endpoint.slice("unix://".length)}`, targetPort: 0 };
  }
  const colon = endpoint.lastIndexOf(":");
  const host = endpoint.slice(0, colon).replace(/^\[|\]$/g, "");
  return {
    targetAddress: host === "0.0.0.0" || host === "::" ? address : host,
    targetPort: Number(endpoint.slice(colon + 1)),
  };
}
