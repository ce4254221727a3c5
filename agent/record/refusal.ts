/** Counts a request that was refused before it could be understood. */
import type { Http1ServerConnection } from "../decode/http1/server_connection.ts";
import type { Outcome } from "../respond/outcome.ts";
import { destinationLabels, sourceLabels } from "./request_metrics.ts";

const noService = { host: "", name: "", namespace: "" };

export function recordRefusal(downstream: Http1ServerConnection, outcome: Outcome): void {
  const { proxy, inbound } = downstream.chain;
  const scope = proxy.scope(
    `refused ${inbound} ${downstream.peerPrincipal}`,
    () =>
      inbound
        ? destinationLabels(proxy.description, noService, downstream.peerPrincipal)
        : sourceLabels(proxy.description, noService, null, ""),
  );
  downstream.thread.series.record(scope.series(outcome.status, outcome.flag, false), 0, 0, 0);
}
