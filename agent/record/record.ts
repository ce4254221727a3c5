/** The last stage of a request: its metrics and its access log line. */
import type { FilterChain } from "../accept/filter_chain.ts";
import type { ResponseHead } from "../decode/head.ts";
import type { Exchange } from "../exchange.ts";
import type { DownstreamLink } from "../downstream_stream.ts";
import { type AccessLogEntry, collect } from "./access_log.ts";
import { destinationLabels, type MetricScope, noService, sourceLabels } from "./request_metrics.ts";

/** Istio's name of the route that refuses what no service has, and of the service that metrics then name. */
const BLOCK_ALL = "block_all";
const blackHole = { host: "", name: "BlackHoleCluster", namespace: "" };

export function recordExchange(exchange: Exchange, downstream: DownstreamLink): void {
  const thread = exchange.thread;
  const duration = thread.loop.now - exchange.startTime;
  const scope = downstream.chain.inbound ? inboundScope(exchange, downstream) : outboundScope(exchange, downstream);
  const series = scope.series(exchange.status, exchange.flags, exchange.grpc, exchange.grpcStatus);
  thread.series.record(series, duration, exchange.bytesReceived, exchange.bytesSent);
  if (exchange.entry !== null) writeLine(exchange, downstream, duration);
}

/** All requests of a connection from one peer to one service have the same ends. */
function inboundScope(exchange: Exchange, downstream: DownstreamLink): MetricScope {
  const service = exchange.cluster?.config.service ?? noService;
  const { metricChanges } = downstream.chain;
  const known = downstream.scope;
  if (known !== null && downstream.scopeService === service && known.changes === metricChanges) return known;
  const proxy = downstream.chain.proxy;
  const principal = downstream.peer.principal;
  downstream.scopeService = service;
  return downstream.scope = proxy.scope(
    `inbound ${service.host} ${principal}`,
    metricChanges,
    () => destinationLabels(proxy.description, service, principal),
  );
}

/** All requests over one upstream connection have the same ends. */
function outboundScope(exchange: Exchange, downstream: DownstreamLink): MetricScope {
  const connection = exchange.destination;
  const { metricChanges } = downstream.chain;
  const known = connection?.scope ?? null;
  if (known !== null && known.changes === metricChanges) return known;
  const proxy = downstream.chain.proxy;
  const service = exchange.cluster?.config.service ?? (exchange.route?.name === BLOCK_ALL ? blackHole : noService);
  const workload = connection?.channel.host.config.workload ?? null;
  const principal = connection?.channel.peerPrincipal ?? "";
  const scope = proxy.scope(
    `outbound ${service.host || service.name} ${workload === null ? "" : JSON.stringify(workload)} ${principal}`,
    metricChanges,
    () => sourceLabels(proxy.description, service, workload, principal),
  );
  if (connection !== null) connection.scope = scope;
  return scope;
}

function writeLine(exchange: Exchange, downstream: DownstreamLink, duration: number): void {
  const entry = exchange.entry!;
  const chain = downstream.chain;
  entry.duration = duration;
  entry.responseCode = exchange.status;
  entry.flags = exchange.flags;
  entry.details = exchange.details;
  entry.bytesReceived = exchange.bytesReceived;
  entry.bytesSent = exchange.bytesSent;
  entry.upstreamHost = exchange.host?.label ?? "";
  entry.upstreamCluster = exchange.cluster?.config.name ?? "";
  entry.upstreamFailure = exchange.upstreamFailure;
  entry.routeName = exchange.route?.name ?? "";
  entry.downstreamLocal = `${chain.listener.address}:${chain.listener.port}`;
  entry.downstreamRemote = downstream.peer.remoteAddress;
  entry.requestedServerName = downstream.peer.serverName;
  entry.downstreamPeer = downstream.peer.principal;
  entry.downstreamTlsVersion = downstream.peer.tlsVersion;
  entry.upstreamPeer = exchange.destination?.channel.peerPrincipal ?? "";
  for (const { path, format } of chain.logs) exchange.thread.logs.write(path, format.line(entry));
}

/** Takes what log lines need of an upstream's response head. Time in milliseconds. */
export function recordResponseHead(
  entry: AccessLogEntry,
  chain: FilterChain,
  head: ResponseHead,
  upstreamTime: number,
): void {
  for (const format of chain.logFormats) collect(format.responseHeaders, head.fields, entry.responseHeaders);
  entry.responseHeaders.set("x-envoy-upstream-service-time", String(Math.round(upstreamTime)));
}
