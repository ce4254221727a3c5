/** Route configurations of a gateway: the rules bound to it, put together host by host as istiod does. */
import { create } from "@bufbuild/protobuf";
import {
  type Route,
  type VirtualHost,
  VirtualHost_TlsRequirementType as TlsRequirement,
  VirtualHostSchema,
} from "../../xds/gen/envoy/config/route/v3/route_components_pb.ts";
import { type RouteConfiguration, RouteConfigurationSchema } from "../../xds/gen/envoy/config/route/v3/route_pb.ts";
import type { Client } from "../destination_rules.ts";
import type { MeshIndex } from "../mesh_index.ts";
import { MAX_DIRECT_RESPONSE_BODY } from "../outbound_routes.ts";
import { isCatchAll } from "../route_match.ts";
import { VirtualHostCompiler } from "../virtual_hosts.ts";
import type { Warn } from "../warning.ts";
import { commonHosts, hostsFor, hostsOf } from "./hosts.ts";
import type { MergedServer } from "./merge.ts";

interface Host {
  routes: Route[];
  redirects: boolean;
}

/**
 * The route configuration that servers share.
 *
 * A host's routes are those of all its rules, the older rule's first, but routes that take every request come last. A
 * host of which no rule speaks answers 404, or redirects where its server says so.
 *
 * @param servers of one route name
 */
export function gatewayRoutes(
  name: string,
  servers: readonly MergedServer[],
  index: MeshIndex,
  client: Client,
  warn: Warn,
): RouteConfiguration {
  const { port } = servers[0].server;
  const hosts = new Map<string, Host>();
  for (const { gateway, namespace, server } of servers) {
    const redirects = server.tls?.httpsRedirect === true;
    const compiler = new VirtualHostCompiler(index, client, gateway);
    for (const virtualService of index.virtualServices.boundTo(gateway, client.namespace)) {
      const { spec, metadata } = virtualService;
      const common = commonHosts(hostsFor(server, namespace, metadata.namespace), spec.hosts ?? []);
      if (common.length === 0 || !spec.http?.length) continue;
      const { hosts: [{ virtualHost }], warnings } = compiler.ofRule(virtualService, server.port.number);
      warnings.forEach(warn);
      for (const host of common) add(hosts, host, virtualHost.routes, redirects);
    }
    if (redirects) hostsOf(server).forEach((host) => add(hosts, host, [], true));
  }
  return create(RouteConfigurationSchema, {
    name,
    virtualHosts: virtualHosts(hosts, port.number),
    validateClusters: false,
    ignorePortInHostMatching: true,
    maxDirectResponseBodySizeBytes: MAX_DIRECT_RESPONSE_BODY,
  });
}

function add(hosts: Map<string, Host>, name: string, routes: readonly Route[], redirects: boolean): void {
  let host = hosts.get(name);
  if (host === undefined) hosts.set(name, host = { routes: [], redirects: false });
  host.routes.push(...routes);
  host.redirects ||= redirects;
}

function virtualHosts(hosts: ReadonlyMap<string, Host>, port: number): VirtualHost[] {
  // Without routes every request is answered with 404.
  if (hosts.size === 0) return [create(VirtualHostSchema, { name: `blackhole:${port}`, domains: ["*"] })];
  return [...hosts.keys()].sort().map((name) => {
    const { routes, redirects } = hosts.get(name)!;
    const takesAll = (route: Route) => route.match !== undefined && isCatchAll(route.match);
    return create(VirtualHostSchema, {
      name: `${name}:${port}`,
      domains: [name],
      routes: [...routes.filter((route) => !takesAll(route)), ...routes.filter(takesAll)],
      includeRequestAttemptCount: true,
      requireTls: redirects ? TlsRequirement.ALL : TlsRequirement.NONE,
    });
  });
}
