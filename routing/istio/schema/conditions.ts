/** Names that Envoy and gRPC give to what went wrong: retry conditions and status codes. */
import { quote } from "../../yaml/node.ts";
import { nearest } from "../../yaml/suggest.ts";

/** x-envoy-retry-on and x-envoy-retry-grpc-on of Envoy's router filter. */
const retryConditions = [
  "5xx",
  "gateway-error",
  "reset",
  "reset-before-request",
  "connect-failure",
  "envoy-ratelimited",
  "retriable-4xx",
  "refused-stream",
  "retriable-status-codes",
  "retriable-headers",
  "http3-post-connect-failure",
  "cancelled",
  "deadline-exceeded",
  "internal",
  "resource-exhausted",
  "unavailable",
];

/** HTTP statuses that have a name (IANA's registry). */
const statuses = /^(10[0-3]|20[0-8]|226|30[0-578]|4(0\d|1[0-8]|2[1-689]|31|51)|50[0-8]|51[01])$/;

/** What is wrong with a comma-separated `retryOn`, which may hold HTTP statuses too; `undefined`: nothing. */
export function unknownRetryCondition(retryOn: string): string | undefined {
  if (retryOn === "") return undefined;
  for (const part of retryOn.split(",")) {
    if (retryConditions.includes(part) || statuses.test(part)) continue;
    if (part !== part.trim()) return `must be separated by commas without spaces, found ${quote(part)}`;
    const meant = nearest(part, retryConditions);
    return `has the unknown condition ${quote(part)}` + (meant === undefined ? "" : `; did you mean ${meant}?`);
  }
  return undefined;
}

/** google.rpc.Code. */
const grpcStatuses = [
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
];

/** A text rule: name of a gRPC status. */
export function isGrpcStatus(value: string): string | undefined {
  return grpcStatuses.includes(value) ? undefined : `be the name of a gRPC status, such as UNAVAILABLE`;
}
