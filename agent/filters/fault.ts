/** Envoy's fault filter: delays and aborts by percentage, before a request is forwarded. */
import type { FaultConfig } from "../config/model.ts";
import type { Exchange } from "../exchange.ts";
import { Flag, outcomes } from "../respond/outcome.ts";
import { happens } from "../route/route_table.ts";

/** Draws the faults for this request and carries them out; then `next`, unless it was aborted. */
export function injectFault(exchange: Exchange, fault: FaultConfig, next: () => void): void {
  const { delay } = fault;
  const abort = fault.abort !== null && happens(fault.abort.percentage) ? fault.abort : null;
  const proceed = abort === null ? next : () => {
    // gRPC callers read their status from a header (trailers-only response).
    const grpc = abort.grpcStatus !== null && (exchange.grpc || abort.httpStatus === 0);
    const headers = grpc ? `grpc-status: ${abort.grpcStatus}\r\n` : "";
    const status = grpc ? 200 : abort.httpStatus;
    exchange.respond(status, grpc ? "" : outcomes.faultAbort.body, Flag.FI, headers, false, false);
  };
  if (delay !== null && happens(delay.percentage)) {
    exchange.flags |= Flag.DI;
    exchange.pause(delay.duration, proceed);
  } else proceed();
}
