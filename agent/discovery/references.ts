/** What configuration refers to. */
import type {
  ClusterConfig,
  DownstreamTlsConfig,
  ListenerConfig,
  RouteConfig,
  UpstreamTlsConfig,
} from "../config/model.ts";

/** Names of the clusters that a route configuration sends requests to. */
export function clustersOf(route: RouteConfig): Set<string> {
  const names = new Set<string>();
  for (const host of route.virtualHosts) {
    for (const { action } of host.routes) {
      if (action.kind === "route") { for (const { name } of action.clusters) names.add(name); }
    }
  }
  return names;
}

/** Names of the clusters to which a listener's TCP proxies connect. */
export function tcpClustersOf(listener: ListenerConfig): Set<string> {
  return new Set(listener.filterChains.flatMap(({ tcp }) => tcp === null ? [] : tcp.clusters.map(({ name }) => name)));
}

/** Names of the route configurations that a listener serves. */
export function routesOf(listener: ListenerConfig): Set<string> {
  return new Set(listener.filterChains.flatMap(({ http }) => http === null ? [] : [http.routeConfigName]));
}

/** Names of the secrets that clusters and listeners need. */
export function secretsOf(clusters: Iterable<ClusterConfig>, listeners: Iterable<ListenerConfig>): Set<string> {
  const configurations = [
    ...[...clusters].flatMap((
      { tls, transportSocketMatches },
    ) => [tls, ...transportSocketMatches.map(({ tls }) => tls)]),
    ...[...listeners].flatMap(({ filterChains }) => filterChains.map(({ tls }) => tls)),
  ];
  const names = new Set(configurations.flatMap((tls) => tls === null ? [] : namesOf(tls)));
  names.delete("");
  return names;
}

function namesOf(tls: DownstreamTlsConfig | UpstreamTlsConfig): string[] {
  const others = "otherCertificates" in tls ? tls.otherCertificates ?? [] : [];
  return [tls.certificate, ...others, tls.trustBundle, tls.crl ?? ""];
}
