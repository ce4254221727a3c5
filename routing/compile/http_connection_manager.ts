/** The HTTP connection manager: the one network filter of every listener. */
import { create } from "@bufbuild/protobuf";
import { durationFromMs } from "@bufbuild/protobuf/wkt";
import type { PathNormalization } from "../mesh.ts";
import { type Filter, FilterSchema } from "../xds/gen/envoy/config/listener/v3/listener_components_pb.ts";
import type { RouteConfiguration } from "../xds/gen/envoy/config/route/v3/route_pb.ts";
import { CorsSchema } from "../xds/gen/envoy/extensions/filters/http/cors/v3/cors_pb.ts";
import { HTTPFaultSchema } from "../xds/gen/envoy/extensions/filters/http/fault/v3/fault_pb.ts";
import { RouterSchema } from "../xds/gen/envoy/extensions/filters/http/router/v3/router_pb.ts";
import {
  HttpConnectionManager_ForwardClientCertDetails,
  HttpConnectionManager_PathWithEscapedSlashesAction as EscapedSlashesAction,
  HttpConnectionManagerSchema,
  type HttpFilter,
  HttpFilterSchema,
} from "../xds/gen/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager_pb.ts";
import { packAny } from "../xds/resources.ts";
import { accessLogs } from "./access_log.ts";
import { dynamicForwardProxyFilter } from "./dynamic_forward_proxy.ts";
import type { ProxySettings } from "./telemetry/proxy_settings.ts";
import { ADS } from "./transport_socket.ts";

/** Names of the HTTP filters, by which routes configure them too. */
export const CORS_FILTER = "envoy.filters.http.cors";
export const FAULT_FILTER = "envoy.filters.http.fault";
const ROUTER_FILTER = "envoy.filters.http.router";

/** What `server:` says in replies. */
const SERVER_NAME = "skiff";

/** Milliseconds for the whole head of a request; more than any honest client needs. */
const REQUEST_HEADERS_TIMEOUT = 60_000;

const faultFilter: HttpFilter = create(HttpFilterSchema, {
  name: FAULT_FILTER,
  configType: { case: "typedConfig", value: packAny(HTTPFaultSchema, create(HTTPFaultSchema)) },
});

const corsFilter: HttpFilter = create(HttpFilterSchema, {
  name: CORS_FILTER,
  configType: { case: "typedConfig", value: packAny(CorsSchema, create(CorsSchema)) },
});

const routerFilter: HttpFilter = create(HttpFilterSchema, {
  name: ROUTER_FILTER,
  configType: { case: "typedConfig", value: packAny(RouterSchema, create(RouterSchema)) },
});

/** Filters that the libraries of proxyless gRPC clients have. */
export const grpcClientFilters: readonly HttpFilter[] = [faultFilter, routerFilter];

/** Requests of local applications to the mesh, routed by a discovered route configuration. */
export function outboundHttp(statPrefix: string, routeConfigName: string, settings: ProxySettings): Filter {
  return filter(settings, {
    statPrefix,
    routeSpecifier: { case: "rds", value: { configSource: ADS, routeConfigName } },
    httpFilters: [corsFilter, faultFilter, dynamicForwardProxyFilter(settings), routerFilter],
  });
}

/** Requests of the mesh to one port of a local application, routed by a fixed configuration. */
export function inboundHttp(
  statPrefix: string,
  routeConfig: RouteConfiguration,
  settings: ProxySettings,
  authorization: readonly HttpFilter[],
): Filter {
  return filter(settings, {
    statPrefix,
    routeSpecifier: { case: "routeConfig", value: routeConfig },
    // The application learns its caller's identity, in istiod's words.
    forwardClientCertDetails: HttpConnectionManager_ForwardClientCertDetails.APPEND_FORWARD,
    setCurrentClientCertDetails: { subject: true, dns: true, uri: true },
    // Faults are injected at the caller.
    httpFilters: [...authorization, routerFilter],
  });
}

/** Requests from outside the mesh: nobody is believed what he says of himself, but for the trusted proxies in front. */
export function gatewayHttp(
  statPrefix: string,
  routeConfigName: string,
  settings: ProxySettings,
  authorization: readonly HttpFilter[],
): Filter {
  return filter(settings, {
    statPrefix,
    routeSpecifier: { case: "rds", value: { configSource: ADS, routeConfigName } },
    useRemoteAddress: true,
    xffNumTrustedHops: settings.gatewayTopology?.numTrustedProxies ?? 0,
    forwardClientCertDetails: HttpConnectionManager_ForwardClientCertDetails.SANITIZE_SET,
    setCurrentClientCertDetails: { subject: true, cert: true, dns: true, uri: true },
    httpFilters: [...authorization, corsFilter, faultFilter, dynamicForwardProxyFilter(settings), routerFilter],
  });
}

interface ManagerFields {
  statPrefix: string;
  routeSpecifier:
    | { case: "rds"; value: { configSource: typeof ADS; routeConfigName: string } }
    | { case: "routeConfig"; value: RouteConfiguration };
  forwardClientCertDetails?: HttpConnectionManager_ForwardClientCertDetails;
  setCurrentClientCertDetails?: { subject: boolean; cert?: boolean; dns: boolean; uri: boolean };
  /** Whether callers are strangers; absent: they are not. */
  useRemoteAddress?: boolean;
  xffNumTrustedHops?: number;
  httpFilters: HttpFilter[];
}

/** What istiod makes of `pathNormalization`. */
function pathFields(normalization: PathNormalization) {
  const mergeSlashes = normalization === "MERGE_SLASHES" || normalization === "DECODE_AND_MERGE_SLASHES";
  return {
    normalizePath: normalization !== "NONE",
    mergeSlashes,
    pathWithEscapedSlashesAction: normalization === "DECODE_AND_MERGE_SLASHES"
      ? EscapedSlashesAction.UNESCAPE_AND_FORWARD
      : EscapedSlashesAction.IMPLEMENTATION_SPECIFIC_DEFAULT,
  };
}

function filter(settings: ProxySettings, fields: ManagerFields): Filter {
  const manager = create(HttpConnectionManagerSchema, {
    useRemoteAddress: false,
    ...fields,
    accessLog: accessLogs(settings),
    serverName: SERVER_NAME,
    generateRequestId: true,
    // Istio's: WebSocket works without being asked for.
    upgradeConfigs: [{ upgradeType: "websocket" }],
    // Not Istio's, which has none: a head that never ends must not hold a connection for ever.
    requestHeadersTimeout: durationFromMs(REQUEST_HEADERS_TIMEOUT),
    ...pathFields(settings.pathNormalization ?? "BASE"),
    // Istio's: streams that are quiet for long, such as watches, are not cut.
    streamIdleTimeout: durationFromMs(0),
  });
  return create(FilterSchema, {
    name: "envoy.filters.network.http_connection_manager",
    configType: { case: "typedConfig", value: packAny(HttpConnectionManagerSchema, manager) },
  });
}
