/** Where a route sends a request, and how: clusters by weight, rewriting, timeout, retries. */
import { create } from "@bufbuild/protobuf";
import { durationFromMs } from "@bufbuild/protobuf/wkt";
import type { Destination, HTTPRoute, HTTPRouteDestination } from "../istio/types.ts";
import { parseDuration } from "../istio/duration.ts";
import { type RouteAction, RouteActionSchema } from "../xds/gen/envoy/config/route/v3/route_components_pb.ts";
import { type HeaderFields, headerFields, joinHeaderFields } from "./header_operations.ts";
import { retryPolicy } from "./retry_policy.ts";

/** The cluster that a destination means. `field` is the destination's path, for warnings. */
export type ResolveCluster = (destination: Destination, field: string) => string;

/** The action of a route, with the header operations that belong to the route as a whole. */
export interface CompiledAction {
  action: RouteAction;
  headers: HeaderFields;
}

/** The action of a route that goes to one cluster under no rule, with Istio's defaults: no timeout, two retries. */
export function defaultRouteAction(cluster: string): RouteAction {
  return create(RouteActionSchema, {
    clusterSpecifier: { case: "cluster", value: cluster },
    timeout: durationFromMs(0),
    retryPolicy: retryPolicy(undefined),
  });
}

/** The action of a rule's route with destinations. */
export function routeAction(route: HTTPRoute, resolve: ResolveCluster): CompiledAction {
  const destinations = route.route ?? [];
  const single = destinations.length === 1 ? destinations[0] : undefined;
  const own = headerFields(route.headers);
  const headers = single === undefined ? own : joinHeaderFields(own, headerFields(single.headers));
  const authority = route.rewrite?.authority || headers.authority;
  const action = create(RouteActionSchema, {
    clusterSpecifier: single === undefined
      ? { case: "weightedClusters", value: { clusters: weightedClusters(destinations, resolve) } }
      : { case: "cluster", value: resolve(single.destination, "route[0]") },
    timeout: durationFromMs(route.timeout === undefined ? 0 : parseDuration(route.timeout)),
    retryPolicy: retryPolicy(route.retries),
    // Envoy replaces what matched: of a prefix the prefix, of an exact path or a regex the whole path.
    prefixRewrite: route.rewrite?.uri ?? "",
    regexRewrite: regexRewrite(route),
    hostRewriteSpecifier: authority === "" ? undefined : { case: "hostRewriteLiteral", value: authority },
  });
  return { action, headers };
}

/** A weight of 0 among several destinations means none of the requests. */
function weightedClusters(destinations: readonly HTTPRouteDestination[], resolve: ResolveCluster) {
  return destinations.flatMap(({ destination, weight, headers }, index) => {
    if (!weight) return [];
    const { authority, ...fields } = headerFields(headers);
    return [{
      name: resolve(destination, `route[${index}]`),
      weight,
      ...fields,
      hostRewriteSpecifier: authority === "" ? undefined : { case: "hostRewriteLiteral" as const, value: authority },
    }];
  });
}

function regexRewrite({ rewrite }: HTTPRoute) {
  const regex = rewrite?.uriRegexRewrite;
  return regex === undefined ? undefined : { pattern: { regex: regex.match ?? "" }, substitution: regex.rewrite ?? "" };
}
