/** Listeners: where to listen, and which filter chain serves a connection. */
import { TrafficDirection } from "../../../routing/xds/gen/envoy/config/core/v3/base_pb.ts";
import type {
  Filter,
  FilterChain,
  ListenerFilter,
} from "../../../routing/xds/gen/envoy/config/listener/v3/listener_components_pb.ts";
import { type Listener, ListenerSchema } from "../../../routing/xds/gen/envoy/config/listener/v3/listener_pb.ts";
import { HttpInspectorSchema } from "../../../routing/xds/gen/envoy/extensions/filters/listener/http_inspector/v3/http_inspector_pb.ts";
import { ProxyProtocolSchema } from "../../../routing/xds/gen/envoy/extensions/filters/listener/proxy_protocol/v3/proxy_protocol_pb.ts";
import { TlsInspectorSchema } from "../../../routing/xds/gen/envoy/extensions/filters/listener/tls_inspector/v3/tls_inspector_pb.ts";
import { HttpConnectionManagerSchema } from "../../../routing/xds/gen/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager_pb.ts";
import { RBACSchema as NetworkRbacSchema } from "../../../routing/xds/gen/envoy/extensions/filters/network/rbac/v3/rbac_pb.ts";
import { TcpProxySchema } from "../../../routing/xds/gen/envoy/extensions/filters/network/tcp_proxy/v3/tcp_proxy_pb.ts";
import type { AccessLogConfig } from "../access_log_config.ts";
import type { FilterChainConfig, ListenerConfig, RouteConfig, SecretConfig } from "../model.ts";
import { accessLogs } from "./access_log.ts";
import { connectionManager } from "./http_connection_manager.ts";
import { httpRbacFilters } from "./http_filters.ts";
import { metricChanges } from "./metrics.ts";
import { rbacConfig } from "./rbac.ts";
import { sameConfig } from "./same_config.ts";
import { holds, refuseUnimplemented, unpack } from "./strict.ts";
import { tcpProxy } from "./tcp_proxy.ts";
import { downstreamTls } from "./tls.ts";
import { Place } from "./unsupported.ts";
import { addressAndPort, milliseconds, serviceOf } from "./values.ts";

export interface TranslatedListener {
  listener: ListenerConfig;
  /** Route configurations that stand in the listener itself, named `LISTENER/CHAIN`. */
  inlineRoutes: RouteConfig[];
  /** Names of the route configurations to subscribe to. */
  routeNames: string[];
  /** Certificates and trust bundles that stand in the listener. */
  secrets: SecretConfig[];
}

interface TranslatedChain {
  chain: FilterChainConfig;
  inlineRoute: RouteConfig | null;
  accessLog: AccessLogConfig[];
}

/**
 * Access logs stand at the filters in xDS and at the listener in the data threads' configuration, so all
 * chains must have the same.
 *
 * @throws {UnsupportedConfigurationError}
 */
export function translateListener(resource: Listener): TranslatedListener {
  const place = new Place(`listener ${resource.name}`);
  refuseUnimplemented(ListenerSchema, resource, place);
  place.field("bind_to_port").require(resource.bindToPort !== false, "is not implemented");
  place.field("enable_reuse_port").require(resource.enableReusePort !== false, "every data thread has its own socket");
  const { address, port } = addressAndPort(resource.address, place.field("address"));
  place.field("address.socket_address.port_value").require(port > 0, "want a port number");
  const proxyProtocol = listenerFilters(resource.listenerFilters, place.field("listener_filters"));
  const chainsPlace = place.field("filter_chains");
  chainsPlace.require(resource.filterChains.length > 0, "want at least one");
  const secrets: SecretConfig[] = [];
  const metrics = metricChanges(resource.metadata, place.field("metadata").key("istio.stats"));
  const { host: service } = serviceOf(resource.metadata);
  const chains = resource.filterChains.map((chain, index) =>
    filterChain(chain, chain.name || String(index), resource.name, port, chainsPlace.item(index), secrets)
  );
  chains.forEach(({ chain, accessLog }, index) => {
    const at = chainsPlace.item(index);
    at.field("name").require(
      chains.findIndex((other) => other.chain.name === chain.name) === index,
      `${JSON.stringify(chain.name)} is the name of another chain`,
    );
    at.field("filters[0].typed_config.access_log").require(
      sameConfig(accessLog, chains[0].accessLog),
      "want the same in all filter chains",
    );
  });
  const inlineRoutes = chains.flatMap(({ inlineRoute }) => inlineRoute === null ? [] : [inlineRoute]);
  const routeNames = chains.flatMap(({ chain: { http }, inlineRoute }) =>
    http === null || inlineRoute !== null ? [] : [http.routeConfigName]
  );
  return {
    listener: {
      name: resource.name,
      address,
      port,
      direction: direction(resource.trafficDirection),
      ...(service === "" ? {} : { service }),
      ...(proxyProtocol === undefined ? {} : { proxyProtocol }),
      ...(resource.listenerFilters.some(({ configType: { value } }) => holds(value, HttpInspectorSchema))
        ? { inspectsHttp: true }
        : {}),
      ...detection(resource, place),
      ...handshakeTimeout(resource, chainsPlace),
      filterChains: chains.map(({ chain }) => chain),
      accessLog: chains[0].accessLog,
      ...(metrics === undefined ? {} : { metrics }),
    },
    inlineRoutes,
    routeNames: [...new Set(routeNames)],
    secrets,
  };
}

/** It runs before a chain is chosen, so all that have one must have the same. */
function handshakeTimeout(resource: Listener, place: Place): Pick<ListenerConfig, "handshakeTimeout"> {
  const timeouts = resource.filterChains.map(({ transportSocketConnectTimeout: timeout }, index) =>
    milliseconds(timeout, 0, place.item(index).field("transport_socket_connect_timeout"))
  ).filter((timeout) => timeout > 0);
  place.require(new Set(timeouts).size <= 1, "want the same transport_socket_connect_timeout in all that have one");
  return timeouts.length === 0 ? {} : { handshakeTimeout: timeouts[0] };
}

/** Envoy's default is 15 s; without any limit nobody waits for ever here either. */
function detection(resource: Listener, place: Place): Pick<ListenerConfig, "detection"> {
  const continues = resource.continueOnListenerFiltersTimeout;
  const timeout = milliseconds(resource.listenerFiltersTimeout, 0, place.field("listener_filters_timeout")) || 15_000;
  return resource.listenerFiltersTimeout === undefined && !continues ? {} : { detection: { timeout, continues } };
}

function listenerFilters(filters: ListenerFilter[], place: Place): ListenerConfig["proxyProtocol"] {
  let proxyProtocol: ListenerConfig["proxyProtocol"];
  filters.forEach(({ configType: { value: config } }, index) => {
    const at = place.item(index);
    if (holds(config, ProxyProtocolSchema)) {
      at.require(index === 0, "want the PROXY protocol before the other filters, and once");
      const filter = unpack(config, ProxyProtocolSchema, at.field("typed_config"));
      proxyProtocol = { allowRequestsWithoutProxyProtocol: filter.allowRequestsWithoutProxyProtocol };
      return;
    }
    const inspects = holds(config, TlsInspectorSchema) || holds(config, HttpInspectorSchema);
    at.require(inspects, "want the PROXY protocol, the TLS or the HTTP inspector");
  });
  return proxyProtocol;
}

/** One that names no direction is taken for a client's way out. */
function direction(direction: TrafficDirection): ListenerConfig["direction"] {
  return direction === TrafficDirection.INBOUND ? "inbound" : "outbound";
}

function filterChain(
  chain: FilterChain,
  name: string,
  listener: string,
  port: number,
  place: Place,
  secrets: SecretConfig[],
): TranslatedChain {
  const filters = place.field("filters");
  filters.require(chain.filters.length > 0, "want the HTTP connection manager or the TCP proxy");
  const last = chain.filters.length - 1;
  const { http, tcp, inlineRoute, accessLog, httpAuthorization } = networkFilter(
    chain.filters[last],
    `${listener}/${name}`,
    port,
    filters.item(last).field("typed_config"),
  );
  const network = chain.filters.slice(0, last).map(({ configType: { value } }, index) => {
    const at = filters.item(index).field("typed_config");
    return rbacConfig(unpack(value, NetworkRbacSchema, at), false, at);
  });
  const authorization = [...network, ...httpAuthorization];
  const match = chain.filterChainMatch;
  return {
    chain: {
      name,
      serverNames: serverNames(match?.serverNames ?? [], place.field("filter_chain_match.server_names")),
      transportProtocol: transportProtocol(
        match?.transportProtocol ?? "",
        place.field("filter_chain_match.transport_protocol"),
      ),
      applicationProtocols: match?.applicationProtocols ?? [],
      tls: downstreamTls(chain.transportSocket, place.field("transport_socket"), secrets),
      ...(authorization.length === 0 ? {} : { authorization }),
      http,
      tcp,
    },
    inlineRoute,
    accessLog,
  };
}

/** What the last filter of a chain is. */
function networkFilter({ configType: { value: config } }: Filter, inlineName: string, port: number, place: Place) {
  if (holds(config, TcpProxySchema)) {
    const filter = unpack(config, TcpProxySchema, place);
    const accessLog = accessLogs(filter.accessLog, place.field("access_log"));
    return { http: null, inlineRoute: null, tcp: tcpProxy(filter, place), accessLog, httpAuthorization: [] };
  }
  const manager = unpack(config, HttpConnectionManagerSchema, place);
  const accessLog = accessLogs(manager.accessLog, place.field("access_log"));
  const httpAuthorization = httpRbacFilters(manager.httpFilters, place.field("http_filters"));
  return { ...connectionManager(manager, inlineName, port, place), tcp: null, accessLog, httpAuthorization };
}

function serverNames(names: string[], place: Place): string[] {
  return names.map((name, index) => {
    place.item(index).require(
      name !== "" && !name.replace(/^\*\./, "").includes("*"),
      `want a name or *.SUFFIX, found ${JSON.stringify(name)}`,
    );
    return name.toLowerCase();
  });
}

function transportProtocol(name: string, place: Place): FilterChainConfig["transportProtocol"] {
  if (name === "" || name === "tls" || name === "raw_buffer") return name;
  return place.refuse(`${JSON.stringify(name)} is not implemented`);
}
