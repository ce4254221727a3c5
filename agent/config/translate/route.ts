/** Route configurations: virtual hosts and their routes, with what they inherit from the levels above. */
import {
  type Route,
  type VirtualHost,
  VirtualHost_TlsRequirementType as TlsRequirement,
} from "../../../routing/xds/gen/envoy/config/route/v3/route_components_pb.ts";
import {
  type RouteConfiguration,
  RouteConfigurationSchema,
} from "../../../routing/xds/gen/envoy/config/route/v3/route_pb.ts";
import type { HeaderMutation, RouteConfig, RouteEntryConfig, VirtualHostConfig } from "../model.ts";
import { type HeaderLevel, headerLevel, isEmpty, joinMutations } from "./header_mutation.ts";
import { type PerFilterConfig, perFilterConfig } from "./per_filter.ts";
import { retryPolicy } from "./retry_policy.ts";
import { type Inherited, routeAction } from "./route_action.ts";
import { routeMatch } from "./route_match.ts";
import { refuseUnimplemented } from "./strict.ts";
import { Place } from "./unsupported.ts";

const defaultMaxDirectResponseBodyBytes = 4096;

/** @throws {UnsupportedConfigurationError} */
export function translateRouteConfiguration(resource: RouteConfiguration): RouteConfig {
  const place = new Place(`route ${resource.name}`);
  refuseUnimplemented(RouteConfigurationSchema, resource, place);
  return routeConfig(resource, resource.name, place);
}

/** What routes take over from the levels above. */
interface Levels extends Inherited {
  virtualHost: HeaderLevel;
  configuration: HeaderLevel;
  mostSpecificWins: boolean;
  attemptCount: RouteEntryConfig["attemptCount"];
  filters: PerFilterConfig;
}

/** As {@link translateRouteConfiguration}, for one that stands at `place` in a listener that has been checked. */
export function routeConfig(resource: RouteConfiguration, name: string, place: Place): RouteConfig {
  const levels = {
    configuration: headerLevel(resource, place),
    mostSpecificWins: resource.mostSpecificHeaderMutationsWins,
    maxDirectResponseBodyBytes: resource.maxDirectResponseBodySizeBytes ?? defaultMaxDirectResponseBodyBytes,
    filters: perFilterConfig(resource.typedPerFilterConfig, place.field("typed_per_filter_config")),
  };
  const virtualHosts = resource.virtualHosts.map((host, index) => {
    const at = place.field("virtual_hosts").item(index);
    const filters = perFilterConfig(host.typedPerFilterConfig, at.field("typed_per_filter_config"));
    return virtualHostConfig(host, {
      ...levels,
      attemptCount: host.includeRequestAttemptCount || host.includeAttemptCountInResponse
        ? { request: host.includeRequestAttemptCount, response: host.includeAttemptCountInResponse }
        : undefined,
      virtualHost: headerLevel(host, at),
      retry: retryPolicy(host.retryPolicy, at.field("retry_policy")),
      filters: { ...levels.filters, ...filters },
    }, at);
  });
  requireDistinctDomains(virtualHosts, place.field("virtual_hosts"));
  return { name, ...(resource.ignorePortInHostMatching ? { ignorePort: true } : {}), virtualHosts };
}

function virtualHostConfig(host: VirtualHost, levels: Levels, place: Place): VirtualHostConfig {
  return {
    name: host.name,
    domains: host.domains.map((domain) => domain.toLowerCase()),
    routes: [
      ...redirectToTls(host.requireTls, place.field("require_tls")),
      ...host.routes.map((route, index) => routeEntry(route, levels, place.field("routes").item(index))),
    ],
  };
}

/** Envoy's require_tls as a route before all others: whatever did not come over TLS is sent there. */
function redirectToTls(requirement: TlsRequirement, place: Place): RouteEntryConfig[] {
  if (requirement === TlsRequirement.NONE) return [];
  place.require(requirement === TlsRequirement.ALL, "want NONE or ALL");
  const nothing: HeaderMutation = { set: [], remove: [] };
  return [{
    name: "require_tls",
    match: {
      path: { kind: "prefix", value: "", ignoreCase: false },
      headers: [{ name: ":scheme", matcher: { kind: "exact", value: "https", ignoreCase: false }, invert: true }],
      queryParameters: [],
      fraction: null,
    },
    action: {
      kind: "redirect",
      status: 301,
      host: "",
      port: 0,
      scheme: "https",
      path: "",
      prefixRewrite: "",
      stripQuery: false,
    },
    requestHeaders: nothing,
    responseHeaders: nothing,
    fault: null,
  }];
}

function routeEntry(route: Route, levels: Levels, place: Place): RouteEntryConfig {
  const filters = perFilterConfig(route.typedPerFilterConfig, place.field("typed_per_filter_config"));
  const own = headerLevel(route, place);
  const entry: RouteEntryConfig = {
    name: route.name,
    match: routeMatch(route.match, place.field("match")),
    action: routeAction(route, levels, place),
    requestHeaders: joined("request", [own, levels.virtualHost, levels.configuration], levels.mostSpecificWins),
    responseHeaders: joined("response", [own, levels.virtualHost, levels.configuration], levels.mostSpecificWins),
    fault: null,
    ...levels.filters,
    ...filters,
  };
  if (levels.attemptCount !== undefined) entry.attemptCount = levels.attemptCount;
  moveToClusters(entry, "requestHeaders", levels.mostSpecificWins);
  moveToClusters(entry, "responseHeaders", levels.mostSpecificWins);
  return entry;
}

/** Envoy goes from the most specific level to the least, so that the last word is the least specific's. */
function joined(direction: "request" | "response", levels: HeaderLevel[], mostSpecificWins: boolean): HeaderMutation {
  const mutations = levels.map((level) => level[direction]);
  return joinMutations(mostSpecificWins ? mutations.reverse() : mutations);
}

/**
 * Where a weighted cluster changes headers too, each cluster gets the changes of all levels in their order and the
 * route none: so it does not matter which of the two a data thread applies first.
 */
function moveToClusters(
  entry: RouteEntryConfig,
  headers: "requestHeaders" | "responseHeaders",
  mostSpecificWins: boolean,
): void {
  const { action } = entry;
  if (action.kind !== "route" || action.clusters.every((cluster) => isEmpty(cluster[headers]))) return;
  for (const cluster of action.clusters) {
    const levels = [cluster[headers], entry[headers]];
    cluster[headers] = joinMutations(mostSpecificWins ? levels.reverse() : levels);
    if (headers === "requestHeaders" && action.hostRewrite !== "") {
      const rewritten = cluster.requestHeaders.set.some(({ name }) => name === ":authority");
      if (!rewritten) {
        cluster.requestHeaders.set.push({ name: ":authority", value: action.hostRewrite, mode: "overwrite" });
      }
    }
  }
  entry[headers] = { set: [], remove: [] };
  if (headers === "requestHeaders") action.hostRewrite = "";
}

function requireDistinctDomains(hosts: VirtualHostConfig[], place: Place): void {
  const seen = new Set<string>();
  hosts.forEach(({ domains }, hostIndex) => {
    domains.forEach((domain, index) => {
      const at = place.item(hostIndex).field("domains").item(index);
      at.require(domain !== "", "want a domain");
      at.require(!seen.has(domain), `${JSON.stringify(domain)} is a domain already`);
      seen.add(domain);
    });
  });
}
