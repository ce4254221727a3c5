/** The route configuration of the HTTP proxy port: every host that the workload may name. */
import { create } from "@bufbuild/protobuf";
import { type RouteConfiguration, RouteConfigurationSchema } from "../xds/gen/envoy/config/route/v3/route_pb.ts";
import { type VirtualHost, VirtualHostSchema } from "../xds/gen/envoy/config/route/v3/route_components_pb.ts";
import type { Client } from "./destination_rules.ts";
import type { MeshIndex } from "./mesh_index.ts";
import type { NamespaceView } from "./namespace_view.ts";
import { otherHosts } from "./other_hosts.ts";
import { outboundTrafficPolicy } from "./sidecar/outbound_traffic_policy.ts";
import { MESH_GATEWAY } from "./virtual_services.ts";
import { type CompiledVirtualHost, VirtualHostCompiler } from "./virtual_hosts.ts";
import type { Warn } from "./warning.ts";

/** Istio's name of the route configuration of a proxy port. */
export const HTTP_PROXY_ROUTES = "http_proxy";

/** The largest body that validation lets pass; Envoy's own limit is 4 KiB. */
export const MAX_DIRECT_RESPONSE_BODY = 1024 * 1024;

/** The last configurations that began with a virtual host, so that an unchanged one stays the same object. */
const recent = new WeakMap<VirtualHost, RouteConfiguration[]>();
const RECENT = 4;

/** Which route configuration, and whose hosts are in it. */
export interface RoutesOf {
  name: string;
  view: NamespaceView;
}

/**
 * Compiles the routes for a client, by default those of its HTTP proxy port. No domain stands in two virtual hosts: the
 * first keeps it.
 */
export function compileOutboundRoutes(
  index: MeshIndex,
  client: Client,
  warn: Warn,
  { name, view }: RoutesOf = { name: HTTP_PROXY_ROUTES, view: index.view(client) },
): RouteConfiguration {
  const compiler = new VirtualHostCompiler(index, client, MESH_GATEWAY, view);
  const hosts: CompiledVirtualHost[] = [];
  const add = (compiled: ReturnType<VirtualHostCompiler["ofService"]>) => {
    hosts.push(...compiled.hosts);
    compiled.warnings.forEach(warn);
  };
  for (const service of view.services) add(compiler.ofService(service));
  for (const [host, virtualServices] of index.virtualServices.hosts(view)) {
    if (!view.covered.has(host)) add(compiler.ofHost(host, virtualServices));
  }
  const others = otherHosts(outboundTrafficPolicy(index, client));
  hosts.push({ virtualHost: others, domains: { own: others.domains, short: [] } });
  return configuration(name, withoutRepeatedDomains(hosts));
}

function withoutRepeatedDomains(hosts: readonly CompiledVirtualHost[]): VirtualHost[] {
  const taken = new Set(hosts.flatMap(({ domains }) => domains.own));
  const used = new Set<string>();
  const distinct: VirtualHost[] = [];
  for (const { virtualHost, domains } of hosts) {
    const kept = [
      ...domains.own.filter((domain) => !used.has(domain)),
      ...domains.short.filter((domain) => !used.has(domain) && !taken.has(domain)),
    ];
    for (const domain of kept) used.add(domain);
    if (kept.length === virtualHost.domains.length) distinct.push(virtualHost);
    else if (kept.length > 0) distinct.push(create(VirtualHostSchema, { ...virtualHost, domains: kept }));
  }
  return distinct;
}

function configuration(name: string, virtualHosts: VirtualHost[]): RouteConfiguration {
  const known = recent.get(virtualHosts[0]) ?? [];
  const same = known.find((candidate) =>
    candidate.name === name && candidate.virtualHosts.length === virtualHosts.length &&
    candidate.virtualHosts.every((virtualHost, index) => virtualHost === virtualHosts[index])
  );
  if (same !== undefined) return same;
  const made = create(RouteConfigurationSchema, {
    name,
    virtualHosts,
    validateClusters: false,
    maxDirectResponseBodySizeBytes: MAX_DIRECT_RESPONSE_BODY,
  });
  recent.set(virtualHosts[0], [made, ...known].slice(0, RECENT));
  return made;
}
