/** The HTTP routes of a VirtualService for one client and one port. */
import { create } from "@bufbuild/protobuf";
import { durationFromMs } from "@bufbuild/protobuf/wkt";
import type { HTTPMatchRequest, HTTPRetry, HTTPRoute, VirtualService } from "../istio/types.ts";
import { type Route, RouteSchema } from "../xds/gen/envoy/config/route/v3/route_components_pb.ts";
import { CorsPolicySchema } from "../xds/gen/envoy/extensions/filters/http/cors/v3/cors_pb.ts";
import { HTTPFaultSchema } from "../xds/gen/envoy/extensions/filters/http/fault/v3/fault_pb.ts";
import { packAny } from "../xds/resources.ts";
import type { Client } from "./destination_rules.ts";
import { corsPolicy } from "./cors.ts";
import { httpFault } from "./fault.ts";
import { type HeaderFields, headerFields } from "./header_operations.ts";
import { CORS_FILTER, FAULT_FILTER } from "./http_connection_manager.ts";
import { selects } from "./labels.ts";
import { directResponseAction, redirectAction } from "./redirect.ts";
import { defaultRouteAction, type ResolveCluster, type ResolvedCluster, routeAction } from "./route_action.ts";
import { asksForClaims, isCatchAll, routeMatch } from "./route_match.ts";
import { resolveGateway } from "./virtual_services.ts";

export interface RouteContext {
  client: Client;
  /** Where the routes are for: `mesh`, or a gateway's `NAMESPACE/NAME`. */
  gateway: string;
  /** Port of the virtual host: what `match.port` is held against. */
  port: number;
  resolve: ResolveCluster;
  /** The mesh's, for routes that say nothing of them; without, Istio's default. */
  defaultRetries: HTTPRetry | undefined;
  /** Takes a warning about a field of the VirtualService. */
  warn: (field: string, message: string) => void;
}

/** The one route of a host that no rule names. */
export function defaultRoute(cluster: ResolvedCluster, retries: HTTPRetry | undefined): Route {
  return create(RouteSchema, {
    name: "default",
    match: routeMatch(undefined),
    action: { case: "route", value: defaultRouteAction(cluster, retries) },
  });
}

/**
 * The route of CONNECT to a port of a service: the bytes behind it go to the cluster as they are, whatever protocol
 * they are of, so that no HTTP rule applies to them.
 */
export function connectRoute(cluster: string): Route {
  return create(RouteSchema, {
    name: "connect",
    match: { pathSpecifier: { case: "connectMatcher", value: {} } },
    action: {
      case: "route",
      value: {
        clusterSpecifier: { case: "cluster", value: cluster },
        timeout: durationFromMs(0),
        upgradeConfigs: [{ upgradeType: "CONNECT", connectConfig: {} }],
      },
    },
  });
}

/**
 * The routes of a rule in their order, each match block a route of its own. What cannot apply to the client is left
 * out, and so is what stands behind a route that takes every request.
 */
export function virtualServiceRoutes(virtualService: VirtualService, context: RouteContext): Route[] {
  const routes: Route[] = [];
  for (const [index, route] of (virtualService.spec.http ?? []).entries()) {
    const blocks: (HTTPMatchRequest | undefined)[] = route.match?.length ? route.match : [undefined];
    for (const match of blocks) {
      const source = { ...context, namespace: virtualService.metadata.namespace };
      if (!sourceMatches(match, source) || (match?.port ?? context.port) !== context.port) continue;
      if (asksForClaims(match)) continue;
      const compiled = compileRoute(route, match, `http[${index}]`, context);
      if (compiled === undefined) continue;
      routes.push(compiled);
      if (isCatchAll(compiled.match!)) return routes;
    }
  }
  return routes;
}

/**
 * One character for each match block of a rule: whether the client can be meant by it. Clients of one namespace with
 * the same answer share their routes.
 */
export function sourceSignature({ spec, metadata }: VirtualService, client: Client, gateway: string): string {
  const source = { client, gateway, namespace: metadata.namespace };
  return (spec.http ?? []).flatMap(({ match }) => match ?? [])
    .map((match) => sourceMatches(match, source) ? "1" : "0").join("");
}

/** Who asks, and the namespace of the rule, where names of gateways begin. */
interface Source {
  client: Client;
  gateway: string;
  namespace: string;
}

/** The conditions on the source that HTTP, TLS and TCP routes have in common. */
export type SourceConditions = Pick<HTTPMatchRequest, "gateways" | "sourceLabels" | "sourceNamespace">;

/** A block's own gateways replace its conditions on the source, as in Istio. */
export function sourceMatches(match: SourceConditions | undefined, { client, gateway, namespace }: Source): boolean {
  if (match === undefined) return true;
  if (match.gateways?.length) return match.gateways.some((name) => resolveGateway(name, namespace) === gateway);
  return selects(match.sourceLabels, client.labels) &&
    (!match.sourceNamespace || match.sourceNamespace === client.namespace);
}

function compileRoute(
  route: HTTPRoute,
  match: HTTPMatchRequest | undefined,
  path: string,
  context: RouteContext,
): Route | undefined {
  const compiled = compileAction(route, path, context);
  if (compiled === undefined) return undefined;
  const { authority: _, ...headers } = compiled.headers;
  const fault = route.fault === undefined ? undefined : httpFault(route.fault);
  return create(RouteSchema, {
    name: match?.name ? `${route.name ?? ""}.${match.name}` : route.name ?? "",
    match: routeMatch(match),
    statPrefix: match?.statPrefix ?? "",
    action: compiled.action,
    ...headers,
    typedPerFilterConfig: {
      ...(route.corsPolicy && { [CORS_FILTER]: packAny(CorsPolicySchema, corsPolicy(route.corsPolicy)) }),
      ...(fault && { [FAULT_FILTER]: packAny(HTTPFaultSchema, fault) }),
    },
  });
}

function compileAction(
  route: HTTPRoute,
  path: string,
  context: RouteContext,
): { action: Route["action"]; headers: HeaderFields } | undefined {
  if (route.redirect !== undefined) {
    const redirect = redirectAction(route.redirect, context.port);
    if (redirect === undefined) {
      context.warn(`${path}.redirect.redirectCode`, "must be 301, 302, 303, 307 or 308: the route is left out");
      return undefined;
    }
    return { action: { case: "redirect", value: redirect }, headers: headerFields(route.headers) };
  }
  if (route.directResponse !== undefined) {
    const response = directResponseAction(route.directResponse);
    return { action: { case: "directResponse", value: response }, headers: headerFields(route.headers) };
  }
  if (!route.route?.length) return undefined;
  if (route.route.length > 1 && route.route.every(({ weight }) => !weight)) {
    context.warn(`${path}.route`, "no destination has a weight above 0: the route is left out");
    return undefined;
  }
  const { action, headers } = routeAction(
    route,
    (destination, field) => context.resolve(destination, `${path}.${field}.destination`),
    context.defaultRetries,
  );
  return { action: { case: "route", value: action }, headers };
}
