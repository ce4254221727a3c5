/** Cross-origin policies of routes, as istiod compiles them. */
import { create } from "@bufbuild/protobuf";
import type { CorsPolicy as IstioCorsPolicy } from "../istio/types.ts";
import { parseDuration } from "../istio/duration.ts";
import { type CorsPolicy, CorsPolicySchema } from "../xds/gen/envoy/extensions/filters/http/cors/v3/cors_pb.ts";
import { FractionalPercent_DenominatorType } from "../xds/gen/envoy/type/v3/percent_pb.ts";
import { stringPattern } from "./route_match.ts";

export function corsPolicy(policy: IstioCorsPolicy): CorsPolicy {
  // The deprecated list holds where the newer one does not stand.
  const origins = policy.allowOrigins ?? (policy.allowOrigin ?? []).map((exact) => ({ exact }));
  return create(CorsPolicySchema, {
    allowOriginStringMatch: origins.map((origin) => ({ matchPattern: stringPattern(origin) })),
    allowMethods: (policy.allowMethods ?? []).join(","),
    allowHeaders: (policy.allowHeaders ?? []).join(","),
    exposeHeaders: (policy.exposeHeaders ?? []).join(","),
    maxAge: policy.maxAge === undefined ? "" : String(Math.floor(parseDuration(policy.maxAge) / 1000)),
    allowCredentials: policy.allowCredentials,
    filterEnabled: { defaultValue: { numerator: 100, denominator: FractionalPercent_DenominatorType.HUNDRED } },
    forwardNotMatchingPreflights: unmatched(policy.unmatchedPreflights),
  });
}

/** Envoy forwards them unless told otherwise. */
function unmatched(preflights: IstioCorsPolicy["unmatchedPreflights"]): boolean | undefined {
  return preflights === undefined || preflights === "UNSPECIFIED" ? undefined : preflights === "FORWARD";
}
