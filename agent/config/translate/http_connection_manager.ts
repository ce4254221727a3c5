/** HTTP connection managers, with Envoy's defaults. */
import {
  type HttpConnectionManager,
  HttpConnectionManager_CodecType as CodecType,
  HttpConnectionManager_ForwardClientCertDetails as ForwardDetails,
  type HttpConnectionManager_UpgradeConfig as UpgradeConfig,
} from "../../../routing/xds/gen/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager_pb.ts";
import type { HttpConnectionManagerConfig, RouteConfig } from "../model.ts";
import { maximumHeaders } from "../../decode/head.ts";
import { hostRules, pathRules } from "./canonical_target.ts";
import { forwardingConfig } from "./forwarding.ts";
import { httpFilters } from "./http_filters.ts";
import { routeConfig } from "./route.ts";
import type { Place } from "./unsupported.ts";
import { milliseconds, requireAds } from "./values.ts";

/** KiB: a head is parsed in the buffer that data threads receive into. */
const largestHead = 96;

export interface TranslatedConnectionManager {
  http: HttpConnectionManagerConfig;
  /** The route configuration that stands in it; `null`: it is discovered. */
  inlineRoute: RouteConfig | null;
}

/**
 * @param inlineName name for a route configuration that stands in the connection manager itself
 * @param port the listener's
 */
export function connectionManager(
  manager: HttpConnectionManager,
  inlineName: string,
  port: number,
  place: Place,
): TranslatedConnectionManager {
  const { codecType, maxRequestHeadersKb, commonHttpProtocolOptions: common } = manager;
  // Of the protocols that AUTO finds out, HTTP/1.1 is served.
  place.field("codec_type").require(
    codecType === CodecType.AUTO || codecType === CodecType.HTTP1,
    `${CodecType[codecType] ?? codecType} is not implemented`,
  );
  const options = place.field("common_http_protocol_options");
  const { routeConfigName, inlineRoute } = routes(manager, inlineName, place);
  const http: HttpConnectionManagerConfig = {
    statPrefix: manager.statPrefix,
    routeConfigName,
    serverName: manager.serverName || "envoy",
    streamIdleTimeout: milliseconds(manager.streamIdleTimeout, 300_000, place.field("stream_idle_timeout")),
    requestHeadersTimeout: milliseconds(manager.requestHeadersTimeout, 0, place.field("request_headers_timeout")),
    idleTimeout: milliseconds(common?.idleTimeout, 3_600_000, options.field("idle_timeout")),
    maxRequestHeadersBytes: 1024 * (maxRequestHeadersKb ?? 60),
    useRemoteAddress: manager.useRemoteAddress ?? false,
    generateRequestId: manager.generateRequestId ?? true,
    forwardClientCertDetails: forwardDetails(manager, place),
    ...httpFilters(manager.httpFilters, place.field("http_filters")),
    upgradeTypes: upgradeTypes(manager.upgradeConfigs, place.field("upgrade_configs")),
  };
  if (manager.setCurrentClientCertDetails !== undefined) {
    const { subject = false, cert, chain, dns, uri } = manager.setCurrentClientCertDetails;
    http.clientCertDetails = { subject, cert, chain, dns, uri };
  } else if (http.forwardClientCertDetails === "APPEND_FORWARD" || http.forwardClientCertDetails === "SANITIZE_SET") {
    http.clientCertDetails = { subject: false, cert: false, chain: false, dns: false, uri: false };
  }
  // Envoy: 0 is no limit.
  if (common?.maxHeadersCount !== undefined) {
    options.field("max_headers_count").require(
      common.maxHeadersCount > 0 && common.maxHeadersCount <= maximumHeaders,
      `want from 1 to ${maximumHeaders}`,
    );
    http.maxHeadersCount = common.maxHeadersCount;
  }
  if (common?.maxRequestsPerConnection) http.maxRequestsPerConnection = common.maxRequestsPerConnection;
  const life = milliseconds(common?.maxConnectionDuration, 0, options.field("max_connection_duration"));
  if (life > 0) http.maxConnectionDuration = life;
  const requestTimeout = milliseconds(manager.requestTimeout, 0, place.field("request_timeout"));
  if (requestTimeout > 0) http.requestTimeout = requestTimeout;
  const maxStreamDuration = milliseconds(common?.maxStreamDuration, 0, options.field("max_stream_duration"));
  if (maxStreamDuration > 0) http.maxStreamDuration = maxStreamDuration;
  const forwarding = forwardingConfig(manager, place);
  if (forwarding !== null) http.forwarding = forwarding;
  const paths = pathRules(manager, place);
  if (paths !== null) http.paths = paths;
  const hosts = hostRules(manager, port, place);
  if (hosts !== null) http.hosts = hosts;
  place.field("max_request_headers_kb").require(
    maxRequestHeadersKb === undefined || maxRequestHeadersKb > 0 && maxRequestHeadersKb <= largestHead,
    `want from 1 to ${largestHead}`,
  );
  return { http, inlineRoute };
}

function routes({ routeSpecifier: { case: kind, value } }: HttpConnectionManager, inlineName: string, place: Place) {
  if (kind === "rds") {
    const at = place.field("rds");
    requireAds(value.configSource, at.field("config_source"));
    at.field("route_config_name").require(value.routeConfigName !== "", "want the name of a route configuration");
    return { routeConfigName: value.routeConfigName, inlineRoute: null };
  }
  if (kind !== "routeConfig") return place.refuse("want rds or a route_config");
  return { routeConfigName: inlineName, inlineRoute: routeConfig(value, inlineName, place.field("route_config")) };
}

const forwardModes = {
  [ForwardDetails.SANITIZE]: "SANITIZE",
  [ForwardDetails.FORWARD_ONLY]: "FORWARD_ONLY",
  [ForwardDetails.APPEND_FORWARD]: "APPEND_FORWARD",
  [ForwardDetails.SANITIZE_SET]: "SANITIZE_SET",
  [ForwardDetails.ALWAYS_FORWARD_ONLY]: "ALWAYS_FORWARD_ONLY",
} as const;

function forwardDetails(manager: HttpConnectionManager, place: Place) {
  const mode = forwardModes[manager.forwardClientCertDetails];
  if (mode === undefined) return place.field("forward_client_cert_details").refuse("is not implemented");
  return mode;
}

function upgradeTypes(configs: UpgradeConfig[], place: Place): string[] {
  const types = configs.map(({ upgradeType, filters }, index) => {
    const at = place.item(index);
    at.field("upgrade_type").require(/^[^\s,]+$/.test(upgradeType), "want the name of one protocol");
    at.field("filters").require(filters.length === 0, "are not implemented: upgrades pass the same filters");
    return upgradeType.toLowerCase();
  });
  place.require(new Set(types).size === types.length, "want each protocol once");
  return types.filter((_, index) => configs[index].enabled !== false);
}
