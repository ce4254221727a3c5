/** Clusters, with Envoy's defaults. */
import {
  type Cluster,
  Cluster_DiscoveryType,
  ClusterSchema,
} from "../../../routing/xds/gen/envoy/config/cluster/v3/cluster_pb.ts";
import { RoutingPriority, type TransportSocket } from "../../../routing/xds/gen/envoy/config/core/v3/base_pb.ts";
import type { TcpKeepalive } from "../../../routing/xds/gen/envoy/config/core/v3/address_pb.ts";
import type { RetryBudget } from "../../../routing/resilience/retry.ts";
import type { CircuitBreakers_Thresholds_RetryBudget } from "../../../routing/xds/gen/envoy/config/cluster/v3/circuit_breaker_pb.ts";
import {
  type HttpProtocolOptions,
  HttpProtocolOptionsSchema,
} from "../../../routing/xds/gen/envoy/extensions/upstreams/http/v3/http_protocol_options_pb.ts";
import type { Http2ProtocolOptions } from "../../../routing/xds/gen/envoy/config/core/v3/protocol_pb.ts";
import { ProxyProtocolUpstreamTransportSchema } from "../../../routing/xds/gen/envoy/extensions/transport_sockets/proxy_protocol/v3/upstream_proxy_protocol_pb.ts";
import { ProxyProtocolConfig_Version } from "../../../routing/xds/gen/envoy/config/core/v3/proxy_protocol_pb.ts";
import type { ClusterConfig, SecretConfig, UpstreamTlsConfig } from "../model.ts";
import type { DnsConfig } from "../name_resolution.ts";
import { dnsConfig, isResolved } from "./dns.ts";
import { dynamicHosts } from "./dynamic_forward_proxy.ts";
import { defaultPanicThreshold, endpointsConfig, type SlotlessEndpoints } from "./endpoints.ts";
import { errorStatuses } from "./error_statuses.ts";
import { healthCheck } from "./health_check.ts";
import { loadBalancing } from "./load_balancing.ts";
import { outlierDetection } from "./outlier_detection.ts";
import { holds, refuseUnimplemented, unpack } from "./strict.ts";
import { upstreamTls } from "./tls.ts";
import { Place } from "./unsupported.ts";
import { milliseconds, positiveMilliseconds, requireAds, serviceOf, textValues } from "./values.ts";

/** A cluster before it has its counters in shared memory. */
export type SlotlessCluster = Omit<ClusterConfig, "slot">;

export interface TranslatedCluster {
  cluster: SlotlessCluster;
  /** Name of the load assignment to subscribe to; `null`: none. */
  edsName: string | null;
  /** Endpoints that stand in the cluster itself, with names where {@link dns} is set; `null`: they are discovered. */
  endpoints: SlotlessEndpoints | null;
  /** How names among the endpoints are resolved; `null`: there are none. */
  dns: DnsConfig | null;
  /** Certificates and trust bundles that stand in the cluster. */
  secrets: SecretConfig[];
}

const protocolOptions = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions";
/** Envoy: 2^31 - 1. */
const defaultConcurrentStreams = 2147483647;
/** Istio's clusters for what no service has: metrics name them as the service. */
const wellKnown = new Set(["PassthroughCluster", "BlackHoleCluster"]);
const defaultIdleTimeout = 3_600_000;
/** Envoy: percent. */
const defaultKeepaliveJitter = 15;

/** @throws {UnsupportedConfigurationError} */
export function translateCluster(resource: Cluster): TranslatedCluster {
  const place = new Place(`cluster ${resource.name}`);
  refuseUnimplemented(ClusterSchema, resource, place);
  place.field("name").require(resource.name !== "", "want a name");
  const dynamic = dynamicHosts(resource, place);
  const type = dynamic === null ? clusterType(resource, place) : "dynamic";
  const { name, commonLbConfig } = resource;
  const secrets: SecretConfig[] = [];
  const panicThreshold = commonLbConfig?.healthyPanicThreshold?.value;
  const http = httpOptions(resource, place.field("typed_extension_protocol_options"));
  const errors = errorStatuses(resource.typedExtensionProtocolOptions[protocolOptions], place.key(protocolOptions));
  // As Envoy falls back to it: who speaks HTTP/2 says so, where the configuration is silent.
  const offering = (tls: UpstreamTlsConfig | null) =>
    tls === null || tls.alpn.length > 0 || http.http2 === undefined ? tls : { ...tls, alpn: ["h2"] };
  const socketOf = (socket: TransportSocket | undefined, at: Place) => {
    const translated = transportSocket(socket, at, secrets);
    return { ...translated, tls: offering(translated.tls) };
  };
  const cluster: SlotlessCluster = {
    name,
    type,
    ...(dynamic === null ? loadBalancing(resource, place) : { lbPolicy: "ROUND_ROBIN", dynamic }),
    connectTimeout: positiveMilliseconds(resource.connectTimeout, 5000, place.field("connect_timeout")),
    transportSocketMatches: resource.transportSocketMatches.map(({ match, transportSocket }, index) => {
      const at = place.field("transport_socket_matches").item(index);
      return {
        match: textValues(match, at.field("match")),
        ...socketOf(transportSocket, at.field("transport_socket")),
      };
    }),
    ...socketOf(resource.transportSocket, place.field("transport_socket")),
    circuitBreakers: circuitBreakers(resource, place.field("circuit_breakers")),
    ...http,
    tcpKeepalive: keepalive(resource.upstreamConnectionOptions?.tcpKeepalive),
    ...healthCheck(
      resource.healthChecks,
      http.http2 !== undefined && !http.usesDownstreamProtocol,
      place.field("health_checks"),
    ),
    outlierDetection: outlierDetection(resource.outlierDetection, errors, place.field("outlier_detection")),
    service: wellKnown.has(name) ? { host: "", name, namespace: "" } : serviceOf(resource.metadata),
    ...(panicThreshold === undefined ? {} : { panicThreshold }),
    ...(commonLbConfig?.localityConfigSpecifier.case === "localityWeightedLbConfig" ? { localityWeighted: true } : {}),
  };
  return {
    cluster,
    edsName: type === "eds" ? resource.edsClusterConfig?.serviceName || name : null,
    endpoints: type === "eds" || type === "dynamic"
      ? null
      : inlineEndpoints(resource, place.field("load_assignment"), type === "dns"),
    dns: dnsConfig(resource, place),
    secrets,
  };
}

/** A transport socket, inside the one that sends the PROXY protocol if there is that. */
function transportSocket(
  socket: TransportSocket | undefined,
  place: Place,
  secrets: SecretConfig[],
): Pick<ClusterConfig, "tls" | "proxyProtocol"> {
  if (!holds(socket?.configType.value, ProxyProtocolUpstreamTransportSchema)) {
    return { tls: upstreamTls(socket, place, secrets) };
  }
  const at = place.field("typed_config");
  const outer = unpack(socket?.configType.value, ProxyProtocolUpstreamTransportSchema, at);
  at.field("transport_socket").require(outer.transportSocket !== undefined, "want a transport socket");
  return {
    tls: upstreamTls(outer.transportSocket, at.field("transport_socket"), secrets),
    proxyProtocol: outer.config?.version === ProxyProtocolConfig_Version.V2 ? "V2" : "V1",
  };
}

function clusterType(resource: Cluster, place: Place): ClusterConfig["type"] {
  const type = resource.clusterDiscoveryType.case === "type"
    ? resource.clusterDiscoveryType.value
    : Cluster_DiscoveryType.STATIC;
  const eds = place.field("eds_cluster_config");
  if (type === Cluster_DiscoveryType.EDS) {
    requireAds(resource.edsClusterConfig?.edsConfig, eds.field("eds_config"));
    place.field("load_assignment").require(resource.loadAssignment === undefined, "endpoints of EDS are discovered");
    return "eds";
  }
  eds.require(resource.edsClusterConfig === undefined, "only a cluster of type EDS has it");
  if (type === Cluster_DiscoveryType.STATIC) return "static";
  if (isResolved(type)) return "dns";
  return place.field("type").refuse(`${Cluster_DiscoveryType[type] ?? type} is not implemented`);
}

/** Of the two priorities only DEFAULT: no route can have the other. */
function circuitBreakers({ circuitBreakers }: Cluster, place: Place): ClusterConfig["circuitBreakers"] {
  const limits = circuitBreakers?.thresholds.find(({ priority }) => priority === RoutingPriority.DEFAULT);
  return {
    maxConnections: limits?.maxConnections ?? 1024,
    maxPendingRequests: limits?.maxPendingRequests ?? 1024,
    maxRequests: limits?.maxRequests ?? 1024,
    maxRetries: limits?.maxRetries ?? 3,
    ...(limits?.retryBudget === undefined ? {} : { retryBudget: retryBudget(limits.retryBudget, place) }),
  };
}

function retryBudget(budget: CircuitBreakers_Thresholds_RetryBudget, place: Place): RetryBudget {
  const percent = budget.budgetPercent?.value ?? 20;
  place.field("retry_budget.budget_percent").require(percent >= 0 && percent <= 100, "want a percentage");
  return { percent, minimumConcurrency: budget.minRetryConcurrency ?? 3 };
}

function httpOptions(
  resource: Cluster,
  place: Place,
): Pick<
  ClusterConfig,
  | "autoSni"
  | "autoSanValidation"
  | "maxRequestsPerConnection"
  | "maxConnectionDuration"
  | "idleTimeout"
  | "maxStreamDuration"
  | "http2"
  | "usesDownstreamProtocol"
> {
  for (const key of Object.keys(resource.typedExtensionProtocolOptions)) {
    place.key(key).require(key === protocolOptions, "is not implemented");
  }
  const any = resource.typedExtensionProtocolOptions[protocolOptions];
  if (any === undefined) return { maxRequestsPerConnection: 0, idleTimeout: defaultIdleTimeout };
  const at = place.key(protocolOptions);
  const options = unpack(any, HttpProtocolOptionsSchema, at);
  const common = options.commonHttpProtocolOptions;
  const maxConnectionDuration = milliseconds(
    common?.maxConnectionDuration,
    0,
    at.field("common_http_protocol_options.max_connection_duration"),
  );
  const maxStreamDuration = milliseconds(
    common?.maxStreamDuration,
    0,
    at.field("common_http_protocol_options.max_stream_duration"),
  );
  return {
    ...(options.upstreamHttpProtocolOptions?.autoSni ? { autoSni: true } : {}),
    ...(options.upstreamHttpProtocolOptions?.autoSanValidation ? { autoSanValidation: true } : {}),
    maxRequestsPerConnection: common?.maxRequestsPerConnection ?? 0,
    idleTimeout: milliseconds(
      common?.idleTimeout,
      defaultIdleTimeout,
      at.field("common_http_protocol_options.idle_timeout"),
    ),
    ...maxStreamDuration > 0 ? { maxStreamDuration } : {},
    ...maxConnectionDuration > 0 ? { maxConnectionDuration } : {},
    ...httpVersions(options, at),
  };
}

/** HTTP/1.1 where neither is set. */
function httpVersions(
  { upstreamProtocolOptions: options }: HttpProtocolOptions,
  place: Place,
): Pick<ClusterConfig, "http2" | "usesDownstreamProtocol"> {
  if (options.case === "useDownstreamProtocolConfig") {
    const http2 = options.value.http2ProtocolOptions;
    const at = place.field("use_downstream_protocol_config.http2_protocol_options");
    // Without options for HTTP/2 Envoy has its callers of HTTP/2 served over HTTP/1.1.
    return http2 === undefined ? {} : { http2: http2Options(http2, at), usesDownstreamProtocol: true };
  }
  const protocol = options.case === "explicitHttpConfig" ? options.value.protocolConfig : undefined;
  if (protocol?.case === "httpProtocolOptions") return {};
  if (protocol?.case === "http2ProtocolOptions") {
    return { http2: http2Options(protocol.value, place.field("explicit_http_config.http2_protocol_options")) };
  }
  return place.refuse(
    "want explicit_http_config with http_protocol_options or http2_protocol_options, or use_downstream_protocol_config",
  );
}

function http2Options(options: Http2ProtocolOptions, place: Place): NonNullable<ClusterConfig["http2"]> {
  const { maxConcurrentStreams = defaultConcurrentStreams, connectionKeepalive: keepalive } = options;
  if (keepalive === undefined) return { maxConcurrentStreams };
  const at = place.field("connection_keepalive");
  const interval = milliseconds(keepalive.interval, 0, at.field("interval"));
  const timeout = positiveMilliseconds(keepalive.timeout, 0, at.field("timeout"));
  const jitterPercent = keepalive.intervalJitter?.value ?? defaultKeepaliveJitter;
  at.field("interval_jitter").require(jitterPercent >= 0 && jitterPercent <= 100, "want a percentage");
  // Without an interval Envoy sends none, so the timeout is for nothing.
  return interval > 0
    ? { maxConcurrentStreams, keepalive: { interval, timeout, jitterPercent } }
    : { maxConcurrentStreams };
}

/** What is left out takes Linux's defaults. The message counts seconds. */
function keepalive(keepalive: TcpKeepalive | undefined): ClusterConfig["tcpKeepalive"] {
  if (keepalive === undefined) return null;
  return {
    probes: keepalive.keepaliveProbes ?? 9,
    time: (keepalive.keepaliveTime ?? 7200) * 1000,
    interval: (keepalive.keepaliveInterval ?? 75) * 1000,
  };
}

function inlineEndpoints(resource: Cluster, place: Place, names: boolean): SlotlessEndpoints {
  const endpoints = resource.loadAssignment === undefined
    ? { cluster: resource.name, localities: [] }
    : endpointsConfig(resource.loadAssignment, resource.name, place, names);
  const panicThreshold = resource.commonLbConfig?.healthyPanicThreshold?.value ?? defaultPanicThreshold;
  return { ...endpoints, panicThreshold };
}
