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
    const { httpStatus, grpcStatus } = abort;
    if (grpcStatus === null) {
      return exchange.respond(httpStatus, outcomes.faultAbort.body, Flag.FI, "", false, false);
    }
    // Where only a status of gRPC is given, other callers get it as a header.
    const status = exchange.grpc || httpStatus > 0 ? httpStatus : 200;
    const headers = exchange.grpc || httpStatus > 0 ? "" : `grpc-status: ${grpcStatus}\r\n`;
    const body = status === 200 ? "" : outcomes.faultAbort.body;
    exchange.respond(status, body, Flag.FI, headers, false, false, grpcStatus);
  };
  if (delay !== null && happens(delay.percentage)) {
    exchange.flags |= Flag.DI;
    exchange.pause(delay.duration, proceed);
  } else proceed();
}
