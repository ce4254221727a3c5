/** Which hosts are reached without leaving the data thread. */
import type { Host } from "../balance/cluster.ts";
import type { InProcessPair } from "../worker/in_process.ts";

/**
 * Begins a connection to another workload of this agent: what the host's address leads to is a listener for mutual TLS
 * of this very thread. `null`: it is not, or it needs what only the wire has.
 *
 * @throws SocketError when no sockets can be made.
 */
export function connectInProcess({ cluster, config, tls, proxyProtocol }: Host): InProcessPair | null {
  if (tls === null || tls.certificate === "" || !tls.alpn.includes("h2")) return null;
  if (proxyProtocol !== null) return null;
  const { thread } = cluster;
  return thread.addresses.get(`${config.address} ${config.port}`)?.connectInProcess() ?? null;
}
