/** Retry policies, with Envoy's defaults. */
import type {
  RetryPolicy,
  RetryPolicy_RetryBackOff,
  RetryPolicy_RetryPriority,
} from "../../../routing/xds/gen/envoy/config/route/v3/route_components_pb.ts";
import { PreviousHostsPredicateSchema } from "../../../routing/xds/gen/envoy/extensions/retry/host/previous_hosts/v3/previous_hosts_pb.ts";
import { PreviousPrioritiesConfigSchema } from "../../../routing/xds/gen/envoy/extensions/retry/priority/previous_priorities/v3/previous_priorities_config_pb.ts";
import type { RetryConfig } from "../model.ts";
import { unpack } from "./strict.ts";
import type { Place } from "./unsupported.ts";
import { milliseconds, positiveMilliseconds } from "./values.ts";

/** Conditions that the data threads know; `retriable-headers` alone does nothing without headers, in Envoy too. */
const conditions: ReadonlySet<string> = new Set([
  "5xx",
  "gateway-error",
  "reset",
  "reset-before-request",
  "connect-failure",
  "refused-stream",
  "retriable-4xx",
  "retriable-status-codes",
  "retriable-headers",
  "envoy-ratelimited",
  "cancelled",
  "deadline-exceeded",
  "internal",
  "resource-exhausted",
  "unavailable",
]);

export function retryPolicy(policy: RetryPolicy | undefined, place: Place): RetryConfig | null {
  if (policy === undefined) return null;
  const retryOn = policy.retryOn.split(",").map((name) => name.trim()).filter((name) => name !== "");
  for (const name of retryOn) {
    place.field("retry_on").require(conditions.has(name), `${JSON.stringify(name)} is not implemented`);
  }
  policy.retryHostPredicate.forEach(({ configType }, index) => {
    const at = place.field("retry_host_predicate").item(index).field("typed_config");
    unpack(configType.value, PreviousHostsPredicateSchema, at);
  });
  policy.retriableStatusCodes.forEach((status, index) => {
    const at = place.field("retriable_status_codes").item(index);
    at.require(status >= 100 && status < 600, `want a status, found ${status}`);
  });
  return {
    retryOn,
    numRetries: policy.numRetries ?? 1,
    perTryTimeout: milliseconds(policy.perTryTimeout, 0, place.field("per_try_timeout")),
    retriableStatusCodes: policy.retriableStatusCodes,
    ...backOff(policy.retryBackOff, place.field("retry_back_off")),
    ...previousPriorities(policy.retryPriority, place.field("retry_priority.typed_config")),
    avoidPreviousHosts: policy.retryHostPredicate.length > 0,
    hostSelectionMaxAttempts: Number(policy.hostSelectionRetryMaxAttempts) || 1,
  };
}

function previousPriorities(
  priority: RetryPolicy_RetryPriority | undefined,
  place: Place,
): Pick<RetryConfig, "leavePrioritiesEvery"> {
  if (priority === undefined) return {};
  const { updateFrequency } = unpack(priority.configType.value, PreviousPrioritiesConfigSchema, place);
  place.field("update_frequency").require(updateFrequency > 0, "want at least 1");
  return { leavePrioritiesEvery: updateFrequency };
}

/** From 25 ms up to 250 ms unless said otherwise; up to ten times the base where only that is said. */
function backOff(backOff: RetryPolicy_RetryBackOff | undefined, place: Place) {
  const backOffBase = positiveMilliseconds(backOff?.baseInterval, 25, place.field("base_interval"));
  const at = place.field("max_interval");
  const backOffMax = positiveMilliseconds(backOff?.maxInterval, 10 * backOffBase, at);
  at.require(backOffMax >= backOffBase, "want at least base_interval");
  return { backOffBase, backOffMax };
}
