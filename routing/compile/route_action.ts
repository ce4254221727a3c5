/** Where a route sends a request, and how: clusters by weight, rewriting, timeout, retries. */
import { create } from "@bufbuild/protobuf";
import { durationFromMs } from "@bufbuild/protobuf/wkt";
import type { ConsistentHash, Destination, HTTPRetry, HTTPRoute, HTTPRouteDestination } from "../istio/types.ts";
import { parseDuration } from "../istio/duration.ts";
import { type RouteAction, RouteActionSchema } from "../xds/gen/envoy/config/route/v3/route_components_pb.ts";
import { hashPolicy } from "./consistent_hash.ts";
import { type HeaderFields, headerFields, joinHeaderFields } from "./header_operations.ts";
import { mirrorPolicies } from "./mirror.ts";
import { retryPolicy } from "./retry_policy.ts";

/** A cluster, and what of a request decides its host there. */
export interface ResolvedCluster {
  name: string;
  consistentHash: ConsistentHash | undefined;
}

/** The cluster that a destination means. `field` is the destination's path, for warnings. */
export type ResolveCluster = (destination: Destination, field: string) => ResolvedCluster;

/** The action of a route, with the header operations that belong to the route as a whole. */
export interface CompiledAction {
  action: RouteAction;
  headers: HeaderFields;
}

/**
 * The action of a route that goes to one cluster under no rule: without a timeout, and with the mesh's retries or
 * Istio's default of two.
 */
export function defaultRouteAction(cluster: ResolvedCluster, retries: HTTPRetry | undefined): RouteAction {
  return create(RouteActionSchema, {
    clusterSpecifier: { case: "cluster", value: cluster.name },
    hashPolicy: hashPolicies([cluster]),
    timeout: durationFromMs(0),
    retryPolicy: retryPolicy(retries),
  });
}

/**
 * The action of a rule's route with destinations.
 * @param retries the mesh's, for a route that says nothing of them
 */
export function routeAction(
  route: HTTPRoute,
  resolve: ResolveCluster,
  retries: HTTPRetry | undefined,
): CompiledAction {
  const all = route.route ?? [];
  // A weight of 0 among several destinations means none of the requests.
  const destinations = all.flatMap((destination, index) =>
    all.length > 1 && !destination.weight
      ? []
      : [{ ...destination, cluster: resolve(destination.destination, `route[${index}]`) }]
  );
  const single = all.length === 1 ? destinations[0] : undefined;
  const own = headerFields(route.headers);
  const headers = single === undefined ? own : joinHeaderFields(own, headerFields(single.headers));
  const authority = route.rewrite?.authority || headers.authority;
  const action = create(RouteActionSchema, {
    clusterSpecifier: single === undefined
      ? { case: "weightedClusters", value: { clusters: weightedClusters(destinations) } }
      : { case: "cluster", value: single.cluster.name },
    hashPolicy: hashPolicies(destinations.map(({ cluster }) => cluster)),
    requestMirrorPolicies: mirrorPolicies(route, resolve),
    timeout: durationFromMs(route.timeout === undefined ? 0 : parseDuration(route.timeout)),
    retryPolicy: retryPolicy(route.retries ?? retries),
    // Envoy replaces what matched: of a prefix the prefix, of an exact path or a regex the whole path.
    prefixRewrite: route.rewrite?.uri ?? "",
    regexRewrite: regexRewrite(route),
    hostRewriteSpecifier: authority === "" ? undefined : { case: "hostRewriteLiteral", value: authority },
  });
  return { action, headers };
}

function weightedClusters(destinations: readonly (HTTPRouteDestination & { cluster: ResolvedCluster })[]) {
  return destinations.map(({ cluster, weight, headers }) => {
    const { authority, ...fields } = headerFields(headers);
    return {
      name: cluster.name,
      weight,
      ...fields,
      hostRewriteSpecifier: authority === "" ? undefined : { case: "hostRewriteLiteral" as const, value: authority },
    };
  });
}

/** Those of all destinations, one after the other, as istiod writes them. */
function hashPolicies(clusters: readonly ResolvedCluster[]) {
  return clusters.flatMap(({ consistentHash }) => {
    const policy = consistentHash === undefined ? null : hashPolicy(consistentHash);
    return policy === null ? [] : [policy];
  });
}

function regexRewrite({ rewrite }: HTTPRoute) {
  const regex = rewrite?.uriRegexRewrite;
  return regex === undefined ? undefined : { pattern: { regex: regex.match ?? "" }, substitution: regex.rewrite ?? "" };
}
