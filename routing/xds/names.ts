/**
 * Names of clusters and server names as Istio builds them from direction, port, subset and host.
 *
 * Source: Istio's `BuildSubsetKey` and `BuildDNSSrvSubsetKey` (pilot/pkg/model).
 */

/** The parts of a cluster's name. `subset` and `host` may be empty. */
export interface ClusterName {
  direction: "inbound" | "outbound";
  port: number;
  subset: string;
  host: string;
}

/** `outbound|9080|v1|reviews.default.svc.cluster.local`; of an inbound cluster `inbound|9080||`. */
export function clusterName(direction: ClusterName["direction"], port: number, subset: string, host: string): string {
  return `${direction}|${port}|${subset}|${host}`;
}

/** The server name that mutual TLS between agents asks for: `outbound_.9080_.v1_.reviews.default.svc.cluster.local`. */
export function serverName(port: number, subset: string, host: string): string {
  return `outbound_.${port}_.${subset}_.${host}`;
}

/** The parts of a cluster's name, or `null` for a name of another form. */
export function parseClusterName(name: string): ClusterName | null {
  const parts = name.split("|");
  if (parts.length !== 4) return null;
  const [direction, port, subset, host] = parts;
  if (direction !== "inbound" && direction !== "outbound") return null;
  if (!/^[0-9]{1,5}$/.test(port) || Number(port) > 65535) return null;
  return { direction, port: Number(port), subset, host };
}
