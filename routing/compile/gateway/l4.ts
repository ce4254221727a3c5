/** TCP and TLS routes of the rules bound to a gateway. */
import { resolveHost } from "../../istio/host.ts";
import type { L4MatchAttributes, RouteDestination, VirtualService } from "../../istio/types.ts";
import type { Filter } from "../../xds/gen/envoy/config/listener/v3/listener_components_pb.ts";
import type { Client } from "../destination_rules.ts";
import type { MeshIndex } from "../mesh_index.ts";
import { resolveGateway } from "../virtual_services.ts";
import type { Warn } from "../warning.ts";
import { destinationsFilter } from "../l4_destinations.ts";
import { commonHosts, hostsFor } from "./hosts.ts";
import type { MergedServer } from "./merge.ts";

/** Connections with one of these server names go through this filter. */
export interface TlsRouteChain {
  serverNames: string[];
  filter: Filter;
}

/** The filter of the first TCP route that applies to the server; `null`: none does. */
export function tcpRoute(server: MergedServer, index: MeshIndex, client: Client, warn: Warn): Filter | null {
  for (const virtualService of bound(server, index, client)) {
    for (const [place, { match, route }] of (virtualService.spec.tcp ?? []).entries()) {
      if (match?.length && !match.some((each) => applies(each, server, virtualService))) continue;
      return filterOf(route, `tcp[${place}].route`, server, virtualService, index, client, warn);
    }
  }
  return null;
}

/** The filters of all TLS routes that apply to the server, by server name. A name that is taken is not taken twice. */
export function tlsRoutes(
  server: MergedServer,
  taken: Set<string>,
  index: MeshIndex,
  client: Client,
  warn: Warn,
): TlsRouteChain[] {
  const chains: TlsRouteChain[] = [];
  for (const virtualService of bound(server, index, client)) {
    const { namespace, name } = virtualService.metadata;
    for (const [place, { match, route }] of (virtualService.spec.tls ?? []).entries()) {
      for (const [block, each] of match.entries()) {
        if (!applies(each, server, virtualService)) continue;
        const serverNames = each.sniHosts.map((host) => host.toLowerCase());
        const repeated = serverNames.filter((host) => taken.has(host));
        if (repeated.length > 0) {
          const field = `tls[${place}].match[${block}].sniHosts`;
          const message = `${repeated.join(", ")}: port ${server.server.port.number} has a route for it already: ` +
            "this one is left out";
          warn({ kind: "VirtualService", namespace, name, field, message });
          continue;
        }
        serverNames.forEach((host) => taken.add(host));
        const filter = filterOf(route, `tls[${place}].route`, server, virtualService, index, client, warn);
        chains.push({ serverNames, filter });
      }
    }
  }
  return chains;
}

/** Rules bound to the server's gateway that share a host with it. */
function bound({ gateway, namespace, server }: MergedServer, index: MeshIndex, client: Client): VirtualService[] {
  return index.virtualServices.boundTo(gateway, client.namespace).filter(({ spec, metadata }) =>
    commonHosts(hostsFor(server, namespace, metadata.namespace), spec.hosts ?? []).length > 0
  );
}

/** Of the conditions only port and gateway can be held at a gateway, as in Istio. */
function applies(match: L4MatchAttributes, { gateway, server }: MergedServer, { metadata }: VirtualService): boolean {
  if (match.port !== undefined && match.port !== server.port.number) return false;
  return !match.gateways?.length ||
    match.gateways.some((name) => resolveGateway(name, metadata.namespace) === gateway);
}

function filterOf(
  route: readonly RouteDestination[],
  field: string,
  { server }: MergedServer,
  { metadata }: VirtualService,
  index: MeshIndex,
  client: Client,
  warn: Warn,
): Filter {
  const { namespace, name } = metadata;
  return destinationsFilter(route, {
    index,
    client,
    port: server.port.number,
    hostname: (host) => resolveHost(host, namespace, index.mesh.settings.domain).toLowerCase(),
    warn: (place, message) => warn({ kind: "VirtualService", namespace, name, field: `${field}${place}`, message }),
  });
}
