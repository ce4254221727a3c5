/**
 * The stages of a request, in order:
 *
 *   accept → decode → identify → canonicalize → authorize → route → filter → balance → upstream → respond → record
 *
 * `accept/` and `identify/` have made the connection what it is, `decode/` has read the head; from here the request
 * goes on, and what cannot be answered now (a delay, a connection to be made) continues from {@link Exchange}.
 */
import { authorize, type Permit } from "./authorize/authorize.ts";
import { soughtHost } from "./balance/dynamic_hosts.ts";
import type { HashPolicies } from "./balance/hash_policy.ts";
import type { HttpConnectionManagerConfig } from "./config/model.ts";
import { latin1 } from "./decode/characters.ts";
import type { RequestHead } from "./decode/head.ts";
import { CONNECT } from "./decode/http1/upgrade.ts";
import type { Exchange } from "./exchange.ts";
import { filtersAnswer, runFilters } from "./filters/run_filters.ts";
import { redirectHeaders } from "./respond/redirect.ts";
import { outcomes } from "./respond/outcome.ts";
import { canonicalizeTarget, canonicalLocation, Target } from "./route/canonical_target.ts";
import { keptReader, requestReader } from "./route/header_format.ts";
import type { CompiledMutation } from "./route/header_mutation.ts";
import { chooseCluster, type ForwardAction, type Route } from "./route/route_table.ts";
import { writeRequestHead } from "./upstream/request_head.ts";
import { appendMissingKey, WEBSOCKET } from "./upstream/websocket_handshake.ts";

/** Takes a request whose head has been parsed as far as it goes at once. */
export function handleRequest(exchange: Exchange, head: RequestHead): void {
  const { chain, peer } = exchange.downstream!.link;
  const { http } = chain;
  const target = canonicalizeTarget(head, http);
  exchange.openLogEntry(head);
  if (exchange.thread.overload.refusesWork()) return exchange.reply(outcomes.overload);
  if (http.maxHeadersCount !== undefined && head.fields.count > http.maxHeadersCount) {
    return exchange.reply(outcomes.requestHeadersTooLarge);
  }
  if (target === Target.refused) return exchange.reply(outcomes.ambiguousPath);
  if (target === Target.redirected) return exchange.respond(307, "", 0, canonicalLocation(head), false, false);
  head.secure = chain.forwardedHeaders.isSecure(head.fields, peer.tlsVersion !== "");
  const permit = authorize(exchange, head);
  if (permit === null) return;
  const route = chain.routes?.select(head) ?? null;
  if (exchange.upgrade !== "" && !allowsUpgrade(exchange.upgrade, http, route)) {
    return exchange.reply(outcomes.upgradeNotAllowed);
  }
  if (route === null || route.connect !== (exchange.upgrade === CONNECT)) return exchange.reply(outcomes.noRoute);
  exchange.route = route;
  const { action } = route;
  if (action.kind !== "route" && filtersAnswer(exchange)) return;
  switch (action.kind) {
    case "direct":
      return exchange.respond(action.status, action.body, 0, ownHeaders(exchange, head, route), false, false);
    case "redirect": {
      const headers = redirectHeaders(action, route, head) + ownHeaders(exchange, head, route);
      return exchange.respond(action.status, "", 0, headers, false, false);
    }
    case "route":
      return forward(exchange, head, route, action, permit);
  }
}

/** What the route adds to a response that it makes itself. */
function ownHeaders(exchange: Exchange, head: RequestHead, { responseHeaders }: Route): string {
  return responseHeaders.empty ? "" : forRequest(responseHeaders, exchange, head).lines;
}

/** What a route says of a protocol goes before what the connection manager says. */
function allowsUpgrade(type: string, http: HttpConnectionManagerConfig, route: Route | null): boolean {
  const ofRoute = route?.action.kind === "route" ? route.action.upgrades.get(type) : undefined;
  return ofRoute ?? (http.upgradeTypes.includes(type) || (type === CONNECT && route === null));
}

function forward(exchange: Exchange, head: RequestHead, route: Route, action: ForwardAction, permit: Permit): void {
  const chosen = chooseCluster(action);
  exchange.action = action;
  exchange.responseMutations[0] = chosen.responseHeaders;
  exchange.responseMutations[1] = route.responseHeaders;
  if (chosen.responseHeaders.dynamic || route.responseHeaders.dynamic) keepForResponse(exchange, head);
  const cluster = exchange.downstream!.link.chain.proxy.clusters.get(chosen.name);
  if (cluster === undefined) return exchange.reply(outcomes.noCluster);
  exchange.cluster = cluster;
  exchange.settings.ofRoute(action, exchange.downstream!.link.chain.http.maxStreamDuration ?? 0);
  if (cluster.dynamic !== null) {
    exchange.soughtHost = soughtHost(head.authority, cluster.config.tls === null ? 80 : 443);
  }
  exchange.hashed = action.hashPolicies !== null && hashRequest(exchange, head, action.hashPolicies);
  // Of a CONNECT only the bytes behind its head go on.
  if (exchange.upgrade !== CONNECT) prepareHead(exchange, head, route, chosen.requestHeaders);
  if (exchange.limitDuration()) runFilters(exchange, head, permit);
}

/** The head is written now, while its bytes are at hand; attempts send it as often as need be. */
function prepareHead(
  exchange: Exchange,
  head: RequestHead,
  route: Route,
  clusterHeaders: CompiledMutation,
): void {
  writeRequestHead(
    exchange,
    head,
    forRequest(clusterHeaders, exchange, head),
    forRequest(route.requestHeaders, exchange, head),
  );
  if (exchange.upgrade === WEBSOCKET) appendMissingKey(exchange.head, head.fields);
  exchange.endOfHead(route.attemptCount.request);
  const { entry } = exchange;
  const { requestIdInResponse } = exchange.downstream!.link.chain.forwardedHeaders.config;
  if (entry !== null || requestIdInResponse) {
    const requestId = writtenRequestId(exchange);
    entry?.requestHeaders.set("x-request-id", requestId);
    if (requestIdInResponse && requestId !== "") exchange.addResponseHeader("x-request-id", requestId);
  }
}

/** Changes to the request's headers, with the values that are this request's. */
function forRequest(mutation: CompiledMutation, exchange: Exchange, head: RequestHead): CompiledMutation {
  return mutation.dynamic ? mutation.resolve({ exchange, request: requestReader(head), response: null }) : mutation;
}

/** Where the response's headers will tell of the request's, those are kept. */
function keepForResponse(exchange: Exchange, head: RequestHead): void {
  const names = exchange.responseMutations.flatMap((mutation) => mutation.dynamic ? mutation.requestNames : []);
  if (names.length > 0) exchange.requestHeader = keptReader(head, names);
}

/** The request's id as the upstream sees it: the caller's, or one that was made. */
function writtenRequestId({ head }: Exchange): string {
  return /\r\nx-request-id: ([^\r]*)/.exec(latin1(head.bytes, head.start, head.end))?.[1] ?? "";
}

/** Requests with the same hash go to the same host; a cookie that is made for it goes out with the response. */
function hashRequest(exchange: Exchange, head: RequestHead, policies: HashPolicies): boolean {
  const { chain, peer } = exchange.downstream!.link;
  const { address, port } = chain.listener;
  const connection = { remoteAddress: peer.remoteAddress, localAddress: `${address}:${port}` };
  return policies.hash(head, connection, exchange.hashKey, (cookie) => {
    exchange.responseMutations[0] = exchange.responseMutations[0].adding("set-cookie", cookie);
  });
}
