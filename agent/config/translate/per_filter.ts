/** `typed_per_filter_config`: what a level of a route configuration says to the HTTP filters. */
import type { Any } from "@bufbuild/protobuf/wkt";
import { BufferPerRouteSchema } from "../../../routing/xds/gen/envoy/extensions/filters/http/buffer/v3/buffer_pb.ts";
import { CorsPolicySchema } from "../../../routing/xds/gen/envoy/extensions/filters/http/cors/v3/cors_pb.ts";
import { HTTPFaultSchema } from "../../../routing/xds/gen/envoy/extensions/filters/http/fault/v3/fault_pb.ts";
import { LocalRateLimitSchema } from "../../../routing/xds/gen/envoy/extensions/filters/http/local_ratelimit/v3/local_rate_limit_pb.ts";
import type { RouteEntryConfig } from "../model.ts";
import { bufferFilter, routeBufferLimit } from "./buffer.ts";
import { corsConfig, corsFilter } from "./cors.ts";
import { faultConfig, faultFilter } from "./fault.ts";
import { rateLimitConfig, rateLimitFilter } from "./rate_limit.ts";
import { unpack } from "./strict.ts";
import type { Place } from "./unsupported.ts";

/** A filter's part is absent where the level says nothing to it. */
export type PerFilterConfig = Partial<Pick<RouteEntryConfig, "fault" | "cors" | "rateLimit" | "maxRequestBytes">>;

/** The most specific level that speaks to a filter has the only word: see {@link PerFilterConfig}. */
export function perFilterConfig(configs: Record<string, Any>, place: Place): PerFilterConfig {
  const config: PerFilterConfig = {};
  for (const [name, any] of Object.entries(configs)) {
    const at = place.key(name);
    switch (name) {
      case faultFilter:
        config.fault = faultConfig(unpack(any, HTTPFaultSchema, at), at);
        break;
      case corsFilter:
        config.cors = corsConfig(unpack(any, CorsPolicySchema, at), at);
        break;
      case bufferFilter:
        config.maxRequestBytes = routeBufferLimit(unpack(any, BufferPerRouteSchema, at), at);
        break;
      case rateLimitFilter:
        config.rateLimit = rateLimitConfig(unpack(any, LocalRateLimitSchema, at), at);
        break;
      default:
        at.refuse("no such filter is implemented");
    }
  }
  return config;
}
