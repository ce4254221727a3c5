/** Faults that a rule injects, as the fault filter's configuration for one route. */
import { create } from "@bufbuild/protobuf";
import { durationFromMs } from "@bufbuild/protobuf/wkt";
import type { HTTPFaultInjection, Percent } from "../istio/types.ts";
import { parseDuration } from "../istio/duration.ts";
import { FaultDelay_FaultDelayType } from "../xds/gen/envoy/extensions/filters/common/fault/v3/fault_pb.ts";
import { type HTTPFault, HTTPFaultSchema } from "../xds/gen/envoy/extensions/filters/http/fault/v3/fault_pb.ts";
import { FractionalPercent_DenominatorType } from "../xds/gen/envoy/type/v3/percent_pb.ts";

/** gRPC's status codes by name. */
const grpcStatus: Readonly<Record<string, number>> = Object.freeze(Object.fromEntries(
  [
    "OK",
    "CANCELLED",
    "UNKNOWN",
    "INVALID_ARGUMENT",
    "DEADLINE_EXCEEDED",
    "NOT_FOUND",
    "ALREADY_EXISTS",
    "PERMISSION_DENIED",
    "RESOURCE_EXHAUSTED",
    "FAILED_PRECONDITION",
    "ABORTED",
    "OUT_OF_RANGE",
    "UNIMPLEMENTED",
    "INTERNAL",
    "UNAVAILABLE",
    "DATA_LOSS",
    "UNAUTHENTICATED",
  ].map((name, code) => [name, code]),
));

/** `undefined` where neither a delay nor an abort is said completely. */
export function httpFault(fault: HTTPFaultInjection): HTTPFault | undefined {
  const delay = delayFields(fault.delay);
  const abort = abortFields(fault.abort);
  return delay === undefined && abort === undefined ? undefined : create(HTTPFaultSchema, { delay, abort });
}

function delayFields(delay: HTTPFaultInjection["delay"]) {
  if (delay?.fixedDelay === undefined) return undefined;
  return {
    type: FaultDelay_FaultDelayType.FIXED,
    faultDelaySecifier: { case: "fixedDelay" as const, value: durationFromMs(parseDuration(delay.fixedDelay)) },
    // Without a percentage none is delayed: the older whole number's default is 0.
    percentage: delay.percentage === undefined
      ? { numerator: delay.percent ?? 0, denominator: FractionalPercent_DenominatorType.HUNDRED }
      : fraction(delay.percentage),
  };
}

function abortFields(abort: HTTPFaultInjection["abort"]) {
  const errorType = abort?.httpStatus !== undefined
    ? { case: "httpStatus" as const, value: abort.httpStatus }
    : abort?.grpcStatus !== undefined
    ? { case: "grpcStatus" as const, value: grpcStatus[abort.grpcStatus] ?? grpcStatus.UNKNOWN }
    : undefined;
  if (abort === undefined || errorType === undefined) return undefined;
  // Without a percentage Envoy aborts none.
  return { errorType, percentage: abort.percentage === undefined ? undefined : fraction(abort.percentage) };
}

function fraction({ value }: Percent) {
  return { numerator: Math.round((value ?? 0) * 10_000), denominator: FractionalPercent_DenominatorType.MILLION };
}
