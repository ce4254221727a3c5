/** Retries: Istio's default, and what a rule changes of it. */
import { create } from "@bufbuild/protobuf";
import { durationFromMs } from "@bufbuild/protobuf/wkt";
import type { HTTPRetry } from "../istio/types.ts";
import { parseDuration } from "../istio/duration.ts";
import { type RetryPolicy, RetryPolicySchema } from "../xds/gen/envoy/config/route/v3/route_components_pb.ts";
import { PreviousHostsPredicateSchema } from "../xds/gen/envoy/extensions/retry/host/previous_hosts/v3/previous_hosts_pb.ts";
import { PreviousPrioritiesConfigSchema } from "../xds/gen/envoy/extensions/retry/priority/previous_priorities/v3/previous_priorities_config_pb.ts";
import { packAny } from "../xds/resources.ts";

const DEFAULT_ATTEMPTS = 2;
const DEFAULT_RETRY_ON = "connect-failure,refused-stream,unavailable,cancelled,retriable-status-codes";
const DEFAULT_STATUS_CODES = [503];
const STATUS_CODES_CONDITION = "retriable-status-codes";

const previousHosts = {
  name: "envoy.retry_host_predicates.previous_hosts",
  configType: {
    case: "typedConfig" as const,
    value: packAny(PreviousHostsPredicateSchema, create(PreviousHostsPredicateSchema)),
  },
};

/** After every second attempt the priorities of the hosts tried so far are left out. */
const remoteLocalities = {
  name: "envoy.retry_priorities.previous_priorities",
  configType: {
    case: "typedConfig" as const,
    value: packAny(
      PreviousPrioritiesConfigSchema,
      create(PreviousPrioritiesConfigSchema, { updateFrequency: 2 }),
    ),
  },
};

/**
 * The retry policy of a route, as istiod's retry.ConvertPolicy has it.
 *
 * @param retries the rule's; `undefined` gives the default
 * @returns `undefined` where the rule switches retries off, by 0 attempts
 */
export function retryPolicy(retries: HTTPRetry | undefined): RetryPolicy | undefined {
  if (retries !== undefined && (retries.attempts ?? 0) <= 0) return undefined;
  const { retryOn, statusCodes } = retries?.retryOn
    ? conditions(retries.retryOn)
    : { retryOn: DEFAULT_RETRY_ON, statusCodes: DEFAULT_STATUS_CODES };
  return create(RetryPolicySchema, {
    retryOn,
    numRetries: retries?.attempts ?? DEFAULT_ATTEMPTS,
    retriableStatusCodes: statusCodes,
    perTryTimeout: retries?.perTryTimeout === undefined
      ? undefined
      : durationFromMs(parseDuration(retries.perTryTimeout)),
    retryHostPredicate: retries?.retryIgnorePreviousHosts === false ? [] : [previousHosts],
    retryPriority: retries?.retryRemoteLocalities ? remoteLocalities : undefined,
    hostSelectionRetryMaxAttempts: 5n,
    retryBackOff: retries?.backoff === undefined
      ? undefined
      : { baseInterval: durationFromMs(parseDuration(retries.backoff)) },
  });
}

/** Numbers among the conditions are status codes, and imply the condition of that name. */
function conditions(text: string): { retryOn: string; statusCodes: number[] } {
  const names: string[] = [];
  const statusCodes: number[] = [];
  for (const part of text.split(",").map((part) => part.trim())) {
    if (/^[1-5][0-9]{2}$/.test(part)) statusCodes.push(Number(part));
    else if (part !== "") names.push(part);
  }
  if (statusCodes.length > 0 && !names.includes(STATUS_CODES_CONDITION)) names.push(STATUS_CODES_CONDITION);
  return { retryOn: names.join(","), statusCodes };
}
