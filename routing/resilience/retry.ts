/**
 * When a request is tried again, as Envoy's `retry_on` conditions have it
 * (https://www.envoyproxy.io/docs/envoy/latest/configuration/http/http_filters/router_filter#x-envoy-retry-on).
 */

/** A retry policy as configured; times in milliseconds. */
export interface RetryPolicySettings {
  retryOn: string[];
  numRetries: number;
  perTryTimeout: number;
  retriableStatusCodes: number[];
  backOffBase: number;
  backOffMax: number;
  avoidPreviousHosts: boolean;
  hostSelectionMaxAttempts: number;
  leavePrioritiesEvery?: number;
}

export interface RetryPolicy extends RetryPolicySettings {
  readonly conditions: number;
  readonly statusCodes: ReadonlySet<number>;
}

const Condition = {
  "5xx": 1,
  "gateway-error": 2,
  "reset": 4,
  "connect-failure": 8,
  "refused-stream": 16,
  "retriable-4xx": 32,
  "retriable-status-codes": 64,
  "envoy-ratelimited": 128,
  "reset-before-request": 256,
  "cancelled": 512,
  "deadline-exceeded": 1024,
  "internal": 2048,
  "resource-exhausted": 4096,
  "unavailable": 8192,
} as const;

/** gRPC status codes by the condition that retries them. */
const grpcConditions: Record<number, number> = {
  1: Condition.cancelled,
  4: Condition["deadline-exceeded"],
  8: Condition["resource-exhausted"],
  13: Condition.internal,
  14: Condition.unavailable,
};

/** How an attempt ended without a response. */
export type AttemptFailure =
  /** No connection came about, or its TLS handshake failed: nothing was sent. */
  | "connect"
  /** The connection broke after it was given the request. */
  | "reset"
  /** As `reset`, with the peer's word that it did not process the request. */
  | "refused"
  /** The attempt's own time ran out. */
  | "perTryTimeout"
  /** A circuit breaker was open. */
  | "overflow";

export function compileRetryPolicy(settings: RetryPolicySettings): RetryPolicy {
  let conditions = 0;
  for (const name of settings.retryOn) {
    if (/^\d{3}$/.test(name)) conditions |= Condition["retriable-status-codes"];
    else conditions |= Condition[name as keyof typeof Condition] ?? 0;
  }
  const numeric = settings.retryOn.filter((name) => /^\d{3}$/.test(name)).map(Number);
  return { ...settings, conditions, statusCodes: new Set([...settings.retriableStatusCodes, ...numeric]) };
}

/** Where a caller asks for retries and its route has no policy: Envoy's defaults. */
const noPolicy: RetryPolicySettings = {
  retryOn: [],
  numRetries: 1,
  perTryTimeout: 0,
  retriableStatusCodes: [],
  backOffBase: 25,
  backOffMax: 250,
  avoidPreviousHosts: false,
  hostSelectionMaxAttempts: 1,
};

/** What a caller asks for by `x-envoy-retry-on` and the like. */
export interface CallersRetries {
  retryOn: readonly string[];
  /** `null`: as the policy says. */
  maxRetries: number | null;
  statusCodes: readonly number[];
}

/** The route's policy with what the caller adds to it; `null`: neither wants any. */
export function callersRetryPolicy(policy: RetryPolicy | null, asked: CallersRetries): RetryPolicy | null {
  const { retryOn, maxRetries, statusCodes } = asked;
  if (policy === null && retryOn.length === 0) return null;
  if (retryOn.length === 0 && maxRetries === null && statusCodes.length === 0) return policy;
  const settings = policy ?? noPolicy;
  return compileRetryPolicy({
    ...settings,
    retryOn: [...settings.retryOn, ...retryOn],
    numRetries: maxRetries ?? settings.numRetries,
    retriableStatusCodes: [...settings.retriableStatusCodes, ...statusCodes],
  });
}

/**
 * Whether a response with this status (and this `grpc-status` in its head, -1: none) is tried again. `rateLimited`: it
 * carries `x-envoy-ratelimited`, so that only a policy that names this case tries again.
 */
export function retriesResponse(
  policy: RetryPolicy,
  status: number,
  grpcStatus: number,
  rateLimited = false,
): boolean {
  const on = policy.conditions;
  if (rateLimited) return (on & Condition["envoy-ratelimited"]) !== 0;
  if (status >= 500 && (on & Condition["5xx"]) !== 0) return true;
  if (status >= 502 && status <= 504 && (on & Condition["gateway-error"]) !== 0) return true;
  if (status === 409 && (on & Condition["retriable-4xx"]) !== 0) return true;
  if ((on & Condition["retriable-status-codes"]) !== 0 && policy.statusCodes.has(status)) return true;
  return grpcStatus > 0 && (on & (grpcConditions[grpcStatus] ?? 0)) !== 0;
}

/** How many retries may be under way at once, by how much else is. */
export interface RetryBudget {
  /** Of active and waiting requests. */
  percent: number;
  /** So many may always be. */
  minimumConcurrency: number;
}

/** Whether there may be one more retry than the `active` ones, beside so many active and waiting `requests`. */
export function withinBudget(budget: RetryBudget, active: number, requests: number): boolean {
  return active < Math.max(Math.floor(requests * budget.percent / 100), budget.minimumConcurrency);
}

/** Whether an attempt that ended without a response is tried again. */
export function retriesFailure(policy: RetryPolicy, failure: AttemptFailure): boolean {
  // An open circuit breaker is there to keep requests away.
  if (failure === "overflow") return false;
  const on = policy.conditions;
  if ((on & (Condition["5xx"] | Condition["gateway-error"] | Condition.reset)) !== 0) return true;
  if (failure === "connect") return (on & (Condition["connect-failure"] | Condition["reset-before-request"])) !== 0;
  return failure === "refused" && (on & Condition["refused-stream"]) !== 0;
}

/**
 * Milliseconds before retry number `retry` (1 is the first): fully jittered exponential back-off.
 *
 * @param random from 0 up to 1
 */
export function backOff(policy: RetryPolicy, retry: number, random: number): number {
  const ceiling = Math.min(policy.backOffBase * 2 ** (retry - 1), policy.backOffMax);
  return Math.floor(random * ceiling);
}
