/** Counts a request that was refused before it could be understood. */
import type { DownstreamLink } from "../downstream_stream.ts";
import type { DataThread } from "../worker/thread.ts";
import type { Outcome } from "../respond/outcome.ts";
import { destinationLabels, noService, sourceLabels } from "./request_metrics.ts";

export function recordRefusal(thread: DataThread, downstream: DownstreamLink, outcome: Outcome): void {
  const { proxy, inbound } = downstream.chain;
  const scope = proxy.scope(
    `refused ${inbound} ${downstream.peer.principal}`,
    () =>
      inbound
        ? destinationLabels(proxy.description, noService, downstream.peer.principal)
        : sourceLabels(proxy.description, noService, null, ""),
  );
  thread.series.record(scope.series(outcome.status, outcome.flag, false), 0, 0, 0);
}
