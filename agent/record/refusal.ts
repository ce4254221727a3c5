/** Counts and logs a request that was refused before it could be understood. */
import type { DownstreamLink } from "../downstream_stream.ts";
import type { DataThread } from "../worker/thread.ts";
import type { Outcome } from "../respond/outcome.ts";
import { newConnectionEntry } from "./access_log.ts";
import { destinationLabels, noService, sourceLabels } from "./request_metrics.ts";

export function recordRefusal(thread: DataThread, downstream: DownstreamLink, outcome: Outcome): void {
  const { proxy, inbound, metricChanges } = downstream.chain;
  const scope = proxy.scope(
    `refused ${inbound} ${downstream.peer.principal}`,
    metricChanges,
    () =>
      inbound
        ? destinationLabels(proxy.description, noService, downstream.peer.principal)
        : sourceLabels(proxy.description, noService, null, ""),
  );
  thread.series.record(scope.series(outcome.status, outcome.flag, false), 0, 0, 0);
  logRefusal(thread, downstream, outcome);
}

/** Of the request itself nothing is said: it could not be read, or not be trusted. */
function logRefusal(thread: DataThread, { chain, peer }: DownstreamLink, outcome: Outcome): void {
  if (chain.logs.length === 0) return;
  const entry = newConnectionEntry(Date.now());
  entry.responseCode = outcome.status;
  entry.flags = outcome.flag;
  entry.bytesSent = outcome.body.length;
  entry.downstreamLocal = `${chain.listener.address}:${chain.listener.port}`;
  entry.downstreamRemote = peer.remoteAddress;
  entry.requestedServerName = peer.serverName;
  entry.downstreamPeer = peer.principal;
  entry.downstreamTlsVersion = peer.tlsVersion;
  for (const { path, format } of chain.logs) thread.logs.write(path, format.line(entry));
}
