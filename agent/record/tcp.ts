/** Metrics and access log lines of TCP connections. */
import type { Cluster, Host } from "../balance/cluster.ts";
import type { DownstreamLink } from "../downstream_stream.ts";
import type { DataThread } from "../worker/thread.ts";
import { newConnectionEntry } from "./access_log.ts";
import { destinationLabels, type MetricScope, noService, sourceLabels } from "./request_metrics.ts";

/** What is known of a connection when it has ended. */
export interface TcpRecord {
  cluster: Cluster | null;
  host: Host | null;
  /** `spiffe://…` of the upstream peer; empty: none. */
  upstreamPrincipal: string;
  /** Bits of `Flag`. */
  flags: number;
  /** From the caller, and to it. */
  bytesReceived: number;
  bytesSent: number;
  /** Why no connection came about; empty. */
  upstreamFailure: string;
  /** Why the proxy closed it; empty. */
  terminationDetails: string;
}

/** The metric scope of a connection from this caller to that host; `host` is `null` where none was chosen. */
export function tcpScope(
  link: DownstreamLink,
  { cluster, host, upstreamPrincipal }: Pick<TcpRecord, "cluster" | "host" | "upstreamPrincipal">,
): MetricScope {
  const { proxy, inbound, metricChanges } = link.chain;
  const service = cluster?.config.service ?? noService;
  if (inbound) {
    const { principal } = link.peer;
    return proxy.scope(
      `inbound ${service.host} ${principal}`,
      metricChanges,
      () => destinationLabels(proxy.description, service, principal),
    );
  }
  const workload = host?.config.workload ?? null;
  return proxy.scope(
    `outbound ${service.host} ${workload === null ? "" : JSON.stringify(workload)} ${upstreamPrincipal}`,
    metricChanges,
    () => sourceLabels(proxy.description, service, workload, upstreamPrincipal),
  );
}

/** Counts and logs a connection that was closed before any of it was relayed: the rules refuse it. */
export function recordDenied(thread: DataThread, link: DownstreamLink, terminationDetails: string): void {
  const record: TcpRecord = {
    cluster: null,
    host: null,
    upstreamPrincipal: "",
    flags: 0,
    bytesReceived: 0,
    bytesSent: 0,
    upstreamFailure: "",
    terminationDetails,
  };
  const series = tcpScope(link, record).tcp(0);
  thread.series.count(series.opened, 1);
  thread.series.count(series.closed, 1);
  logConnection(thread, link, record, 0);
}

/** Writes the access log line of a connection. Milliseconds. */
export function logConnection(thread: DataThread, link: DownstreamLink, record: TcpRecord, duration: number): void {
  const { chain, peer } = link;
  if (chain.logs.length === 0) return;
  const entry = newConnectionEntry(Date.now() - duration);
  entry.duration = duration;
  entry.flags = record.flags;
  entry.terminationDetails = record.terminationDetails;
  entry.bytesReceived = record.bytesReceived;
  entry.bytesSent = record.bytesSent;
  entry.upstreamHost = record.host?.label ?? "";
  entry.upstreamCluster = record.cluster?.config.name ?? "";
  entry.upstreamFailure = record.upstreamFailure;
  entry.upstreamPeer = record.upstreamPrincipal;
  entry.downstreamLocal = `${chain.listener.address}:${chain.listener.port}`;
  entry.downstreamRemote = peer.remoteAddress;
  entry.requestedServerName = peer.serverName;
  entry.downstreamPeer = peer.principal;
  entry.downstreamTlsVersion = peer.tlsVersion;
  for (const { path, format } of chain.logs) thread.logs.write(path, format.line(entry));
}
