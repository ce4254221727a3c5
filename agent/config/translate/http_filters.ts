/** The HTTP filters of a connection manager. */
import type { HttpFilter } from "../../../routing/xds/gen/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager_pb.ts";
import { BufferSchema } from "../../../routing/xds/gen/envoy/extensions/filters/http/buffer/v3/buffer_pb.ts";
import { CorsSchema } from "../../../routing/xds/gen/envoy/extensions/filters/http/cors/v3/cors_pb.ts";
import { HTTPFaultSchema } from "../../../routing/xds/gen/envoy/extensions/filters/http/fault/v3/fault_pb.ts";
import { LocalRateLimitSchema } from "../../../routing/xds/gen/envoy/extensions/filters/http/local_ratelimit/v3/local_rate_limit_pb.ts";
import { RouterSchema } from "../../../routing/xds/gen/envoy/extensions/filters/http/router/v3/router_pb.ts";
import type { HttpConnectionManagerConfig, HttpFilterName } from "../model.ts";
import { bufferFilter, bufferLimit } from "./buffer.ts";
import { corsFilter } from "./cors.ts";
import type { RbacConfig } from "../../../routing/authorize/condition.ts";
import { RBACSchema } from "../../../routing/xds/gen/envoy/extensions/filters/http/rbac/v3/rbac_pb.ts";
import { rbacConfig } from "./rbac.ts";
import { checkDynamicForwardProxyFilter } from "./dynamic_forward_proxy.ts";
import { FilterConfigSchema } from "../../../routing/xds/gen/envoy/extensions/filters/http/dynamic_forward_proxy/v3/dynamic_forward_proxy_pb.ts";
import { faultFilter } from "./fault.ts";
import { rateLimitConfig, rateLimitFilter } from "./rate_limit.ts";
import { holds, unpack } from "./strict.ts";
import type { Place } from "./unsupported.ts";

type Filters = Pick<
  HttpConnectionManagerConfig,
  "httpFilters" | "rateLimit" | "maxRequestBytes" | "respectExpectedTimeout"
>;

/** The RBAC filters, which come before all others, so that nobody is served unjudged. */
export function httpRbacFilters(filters: HttpFilter[], place: Place): RbacConfig[] {
  return filters.slice(0, countRbac(filters)).map(({ configType: { value } }, index) => {
    const at = place.item(index).field("typed_config");
    return rbacConfig(unpack(value, RBACSchema, at), true, at);
  });
}

function countRbac(filters: HttpFilter[]): number {
  const others = filters.findIndex(({ configType: { value } }) => !holds(value, RBACSchema));
  return others < 0 ? filters.length : others;
}

/** The filters behind RBAC's. */
export function httpFilters(filters: HttpFilter[], place: Place): Filters {
  const skipped = countRbac(filters);
  const translated: Filters = { httpFilters: [] };
  filters.slice(skipped).forEach((filter, index) => {
    const at = place.item(index + skipped);
    at.require(!holds(filter.configType.value, RBACSchema), "want the RBAC filters before all others");
    if (holds(filter.configType.value, FilterConfigSchema)) {
      return checkDynamicForwardProxyFilter(filter.configType.value, at.field("typed_config"));
    }
    const kind = httpFilter(filter, translated, at);
    at.require(!translated.httpFilters.includes(kind), `want the ${kind} filter once`);
    translated.httpFilters.push(kind);
  });
  const { httpFilters } = translated;
  const last = httpFilters.length - 1;
  place.require(last >= 0 && httpFilters.indexOf("router") === last, "want the router last, and once");
  const cors = httpFilters.indexOf("cors");
  place.item(Math.max(cors, 0)).require(
    cors < 0 || !httpFilters.slice(0, cors).some((filter) => filter === "fault" || filter === "buffer"),
    "want the CORS filter before the fault and buffer filters",
  );
  return translated;
}

function httpFilter({ name, configType: { value } }: HttpFilter, filters: Filters, place: Place): HttpFilterName {
  const config = place.field("typed_config");
  const named = (expected: string) =>
    place.field("name").require(name === expected, `want ${expected}, by which routes configure it`);
  if (holds(value, RouterSchema)) {
    if (unpack(value, RouterSchema, config).respectExpectedRqTimeout) filters.respectExpectedTimeout = true;
    return "router";
  }
  if (holds(value, CorsSchema)) {
    named(corsFilter);
    return "cors";
  }
  if (holds(value, LocalRateLimitSchema)) {
    const limit = rateLimitConfig(unpack(value, LocalRateLimitSchema, config), config);
    if (limit !== null) filters.rateLimit = limit;
    named(rateLimitFilter);
    return "local_ratelimit";
  }
  if (holds(value, BufferSchema)) {
    filters.maxRequestBytes = bufferLimit(unpack(value, BufferSchema, config), config);
    named(bufferFilter);
    return "buffer";
  }
  const { delay, abort } = unpack(value, HTTPFaultSchema, config);
  config.field("delay").require(delay === undefined, "is implemented for routes only");
  config.field("abort").require(abort === undefined, "is implemented for routes only");
  named(faultFilter);
  return "fault";
}
