/** The local rate limit filter's configuration. */
import type { LocalRateLimit } from "../../../routing/xds/gen/envoy/extensions/filters/http/local_ratelimit/v3/local_rate_limit_pb.ts";
import { XRateLimitHeadersRFCVersion } from "../../../routing/xds/gen/envoy/extensions/common/ratelimit/v3/ratelimit_pb.ts";
import type { RateLimitConfig } from "../model.ts";
import { headerAdditions } from "./header_mutation.ts";
import type { Place } from "./unsupported.ts";
import { fraction, positiveMilliseconds } from "./values.ts";

/** Name of the local rate limit filter, by which per-route configuration finds it. */
export const rateLimitFilter = "envoy.filters.http.local_ratelimit";

const shortestFill = 50;

/** `null` where there is no bucket: nothing is limited. Where a bucket stands in the configuration makes it one. */
export function rateLimitConfig(filter: LocalRateLimit, place: Place): RateLimitConfig | null {
  const { tokenBucket, filterEnabled, filterEnforced, status } = filter;
  if (tokenBucket === undefined) return null;
  const at = place.field("token_bucket");
  at.field("max_tokens").require(
    tokenBucket.maxTokens > 0 && tokenBucket.maxTokens < 2 ** 31,
    "want from 1 to 2147483647",
  );
  const fillInterval = positiveMilliseconds(tokenBucket.fillInterval, 0, at.field("fill_interval"));
  at.field("fill_interval").require(fillInterval >= shortestFill, `want at least ${shortestFill} ms`);
  const perFill = tokenBucket.tokensPerFill ?? 1;
  at.field("tokens_per_fill").require(perFill > 0, "want at least 1");
  const code = status?.code ?? 0;
  const headers = filter.enableXRatelimitHeaders;
  place.field("enable_x_ratelimit_headers").require(
    headers === XRateLimitHeadersRFCVersion.OFF || headers === XRateLimitHeadersRFCVersion.DRAFT_VERSION_03,
    "is not implemented",
  );
  return {
    key: String(place),
    bucket: { maxTokens: tokenBucket.maxTokens, tokensPerFill: perFill, fillInterval, slot: 0 },
    // As in Envoy: what is no error becomes 429, and without a share the filter is off.
    status: code >= 400 ? code : 429,
    enabled: fraction(filterEnabled?.defaultValue, place.field("filter_enabled.default_value")),
    enforced: fraction(filterEnforced?.defaultValue, place.field("filter_enforced.default_value")),
    responseHeaders: headerAdditions(filter.responseHeadersToAdd, place.field("response_headers_to_add")),
    ...(filter.localRateLimitPerDownstreamConnection ? { perConnection: true } : {}),
    ...(filter.rateLimitedAsResourceExhausted ? { resourceExhausted: true } : {}),
    headers: headers === XRateLimitHeadersRFCVersion.DRAFT_VERSION_03,
  };
}
