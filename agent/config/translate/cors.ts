/** The CORS filter's policies. */
import type { CorsPolicy } from "../../../routing/xds/gen/envoy/extensions/filters/http/cors/v3/cors_pb.ts";
import type { CorsConfig } from "../model.ts";
import type { Place } from "./unsupported.ts";
import { fraction, stringMatcher } from "./values.ts";

/** Name of the CORS filter, by which per-route configuration finds it. */
export const corsFilter = "envoy.filters.http.cors";

export function corsConfig(policy: CorsPolicy, place: Place): CorsConfig {
  const text = (name: string, value: string) => {
    // deno-lint-ignore no-control-regex -- these bytes would end the header
    place.field(name).require(!/[\x00-\x1f\x7f]/.test(value), "want no control characters");
    return value;
  };
  const { filterEnabled } = policy;
  return {
    origins: policy.allowOriginStringMatch.map((matcher, index) =>
      stringMatcher(matcher, place.field("allow_origin_string_match").item(index))
    ),
    methods: text("allow_methods", policy.allowMethods),
    headers: text("allow_headers", policy.allowHeaders),
    exposeHeaders: text("expose_headers", policy.exposeHeaders),
    maxAge: text("max_age", policy.maxAge),
    credentials: policy.allowCredentials ?? false,
    privateNetwork: policy.allowPrivateNetworkAccess ?? false,
    forwardUnmatchedPreflights: policy.forwardNotMatchingPreflights ?? true,
    enabled: filterEnabled === undefined
      ? null
      : fraction(filterEnabled.defaultValue, place.field("filter_enabled.default_value")),
  };
}
