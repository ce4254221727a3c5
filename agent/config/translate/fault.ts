/** Faults that the fault filter injects. */
import type {
  FaultAbort,
  HTTPFault,
} from "../../../routing/xds/gen/envoy/extensions/filters/http/fault/v3/fault_pb.ts";
import type { FaultConfig } from "../model.ts";
import type { Place } from "./unsupported.ts";
import { fraction, positiveMilliseconds } from "./values.ts";

/** Name of the fault filter, by which per-route configuration finds it. */
export const faultFilter = "envoy.filters.http.fault";

/** HTTP status for each gRPC status, as in Envoy's `grpcToHttpStatus`. */
const httpStatusOfGrpc = [200, 499, 500, 400, 504, 404, 409, 403, 429, 400, 409, 400, 501, 500, 503, 500, 401];

/** `null` where none is injected. */
export function faultConfig({ delay, abort }: HTTPFault, place: Place): FaultConfig | null {
  if (delay === undefined && abort === undefined) return null;
  const at = place.field("delay");
  if (delay !== undefined && delay.faultDelaySecifier.case !== "fixedDelay") return at.refuse("want a fixed_delay");
  return {
    delay: delay === undefined ? null : {
      duration: positiveMilliseconds(
        delay.faultDelaySecifier.case === "fixedDelay" ? delay.faultDelaySecifier.value : undefined,
        0,
        at.field("fixed_delay"),
      ),
      percentage: fraction(delay.percentage, at.field("percentage")),
    },
    abort: abort === undefined ? null : abortConfig(abort, place.field("abort")),
  };
}

function abortConfig({ errorType, percentage }: FaultAbort, place: Place): NonNullable<FaultConfig["abort"]> {
  const share = fraction(percentage, place.field("percentage"));
  if (errorType.case === "grpcStatus") {
    const httpStatus = httpStatusOfGrpc[errorType.value] ?? 500;
    return { httpStatus, grpcStatus: errorType.value, percentage: share };
  }
  if (errorType.case !== "httpStatus") return place.refuse("want an http_status or a grpc_status");
  const status = errorType.value;
  place.field("http_status").require(status >= 200 && status < 600, "want a status from 200 to 599");
  return { httpStatus: status, grpcStatus: null, percentage: share };
}
