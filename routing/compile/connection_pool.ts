/** Connection pool settings as Envoy's circuit breakers, timeouts, keep-alive and HTTP protocol options. */
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { type Any, type Duration, durationFromMs } from "@bufbuild/protobuf/wkt";
import type { ConnectionPoolSettings } from "../istio/types.ts";
import { parseDuration } from "../istio/duration.ts";
import type { MeshSettings, Protocol } from "../mesh.ts";
import type { Http2ProtocolOptionsSchema } from "../xds/gen/envoy/config/core/v3/protocol_pb.ts";
import {
  type HttpProtocolOptions,
  HttpProtocolOptionsSchema,
} from "../xds/gen/envoy/extensions/upstreams/http/v3/http_protocol_options_pb.ts";
import { isHttp, isHttp2 } from "./protocol.ts";
import type { EffectivePolicy } from "./traffic_policy.ts";
import { packAny } from "../xds/resources.ts";

/** Istio's "no limit" for every threshold. Envoy's own limit of 3 retries proved too low when endpoints come and go. */
export const NO_LIMIT = 2 ** 32 - 1;

/** Istio's bound for streams of one HTTP/2 connection: Envoy's maximum. */
const MAX_CONCURRENT_STREAMS = 2 ** 30;

const HTTP_PROTOCOL_OPTIONS = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions";

/** Which HTTP upstream connections speak: one of the two, or the one that the caller speaks. */
export type HttpVersion = "HTTP/1.1" | "HTTP/2" | "client's";

/** How upstream connections speak HTTP. */
export interface UpstreamProtocol {
  version: HttpVersion;
  /** Whether the host of a request is the server name of TLS, and whether the certificate must be for it. */
  autoSni?: boolean;
  autoSanValidation?: boolean;
}

/**
 * What connections to a port speak. A rule's upgrade goes before the mesh's, which is only for ports that are said to
 * speak HTTP.
 */
export function httpVersion(
  protocol: Protocol,
  settings: ConnectionPoolSettings | undefined,
  meshPolicy: MeshSettings["h2UpgradePolicy"],
): HttpVersion {
  const { h2UpgradePolicy = "DEFAULT", useClientProtocol = false } = settings?.http ?? {};
  if (useClientProtocol && isHttp(protocol)) return "client's";
  if (isHttp2(protocol)) return "HTTP/2";
  const upgrades = h2UpgradePolicy === "DEFAULT"
    ? meshPolicy === "UPGRADE" && protocol === "HTTP"
    : h2UpgradePolicy === "UPGRADE" && isHttp(protocol);
  return upgrades ? "HTTP/2" : "HTTP/1.1";
}

/**
 * Fields of a cluster that follow from the pool settings. As in Istio, a limit of 0 means none was set.
 *
 * @param mesh what holds where the policy says nothing
 */
export function connectionPoolFields(
  { connectionPool: settings, outlierDetection, retryBudget }: EffectivePolicy,
  mesh: Pick<MeshSettings, "connectTimeout" | "tcpKeepalive">,
  protocol: UpstreamProtocol,
) {
  const { tcp, http } = settings ?? {};
  const keepalive = tcp?.tcpKeepalive ?? mesh.tcpKeepalive;
  return {
    connectTimeout: durationFromMs(
      tcp?.connectTimeout === undefined ? mesh.connectTimeout : parseDuration(tcp.connectTimeout),
    ),
    circuitBreakers: {
      thresholds: [{
        maxConnections: tcp?.maxConnections || NO_LIMIT,
        maxPendingRequests: http?.http1MaxPendingRequests || NO_LIMIT,
        maxRequests: http?.http2MaxRequests || NO_LIMIT,
        maxRetries: http?.maxRetries || NO_LIMIT,
        retryBudget: retryBudget === undefined ? undefined : {
          budgetPercent: { value: retryBudget.percent ?? 20 },
          minRetryConcurrency: retryBudget.minRetryConcurrency ?? 3,
        },
      }],
    },
    upstreamConnectionOptions: keepalive === undefined ? undefined : {
      tcpKeepalive: {
        keepaliveProbes: keepalive.probes,
        keepaliveTime: seconds(keepalive.time),
        keepaliveInterval: seconds(keepalive.interval),
      },
    },
    typedExtensionProtocolOptions: protocolOptions(
      settings,
      protocol,
      outlierDetection?.outlierDetectionHttpErrorCodes ?? [],
    ),
  };
}

/** Empty where Envoy's defaults, HTTP/1.1 among them, are what is wanted. */
function protocolOptions(
  settings: ConnectionPoolSettings | undefined,
  { version, autoSni = false, autoSanValidation = false }: UpstreamProtocol,
  errorCodes: readonly number[],
): Record<string, Any> {
  const idleTimeout = settings?.http?.idleTimeout ?? settings?.tcp?.idleTimeout;
  const maxRequests = settings?.http?.maxRequestsPerConnection || undefined;
  const maxConnectionDuration = settings?.tcp?.maxConnectionDuration;
  const byAuthority = autoSni || autoSanValidation;
  const anyCommon = idleTimeout !== undefined || maxRequests !== undefined || maxConnectionDuration !== undefined;
  if (version === "HTTP/1.1" && !byAuthority && errorCodes.length === 0 && !anyCommon) return {};
  const options: HttpProtocolOptions = create(HttpProtocolOptionsSchema, {
    commonHttpProtocolOptions: !anyCommon ? undefined : {
      idleTimeout: durationOf(idleTimeout),
      maxRequestsPerConnection: maxRequests,
      maxConnectionDuration: durationOf(maxConnectionDuration),
    },
    upstreamHttpProtocolOptions: byAuthority ? { autoSni, autoSanValidation } : undefined,
    outlierDetection: errorCodes.length === 0 ? undefined : errorDetection(errorCodes),
    upstreamProtocolOptions: upstreamProtocolOptions(version, http2Options(settings)),
  });
  return { [HTTP_PROTOCOL_OPTIONS]: packAny(HttpProtocolOptionsSchema, options) };
}

type Http2Options = MessageInitShape<typeof Http2ProtocolOptionsSchema>;

function upstreamProtocolOptions(version: HttpVersion, http2: Http2Options) {
  if (version === "client's") {
    return {
      case: "useDownstreamProtocolConfig" as const,
      value: { httpProtocolOptions: {}, http2ProtocolOptions: http2 },
    };
  }
  return {
    case: "explicitHttpConfig" as const,
    value: {
      protocolConfig: version === "HTTP/2"
        ? { case: "http2ProtocolOptions" as const, value: http2 }
        : { case: "httpProtocolOptions" as const, value: {} },
    },
  };
}

/** As in Istio, only connections of HTTP/2 have them. */
function http2Options(settings: ConnectionPoolSettings | undefined): Http2Options {
  const { maxConcurrentStreams, http2KeepAlive } = settings?.http ?? {};
  return {
    maxConcurrentStreams: maxConcurrentStreams || MAX_CONCURRENT_STREAMS,
    connectionKeepalive: http2KeepAlive === undefined ? undefined : {
      interval: durationOf(http2KeepAlive.interval),
      timeout: durationOf(http2KeepAlive.timeout),
    },
  };
}

function durationOf(text: string | undefined): Duration | undefined {
  return text === undefined ? undefined : durationFromMs(parseDuration(text));
}

/** These statuses are errors for outlier detection, and no others. */
function errorDetection(codes: readonly number[]) {
  return {
    errorMatcher: {
      rule: {
        case: "httpResponseHeadersMatch" as const,
        value: {
          headers: [{
            name: ":status",
            headerMatchSpecifier: {
              case: "stringMatch" as const,
              value: { matchPattern: { case: "safeRegex" as const, value: { regex: codes.join("|") } } },
            },
          }],
        },
      },
    },
  };
}

function seconds(duration: string | undefined): number | undefined {
  return duration === undefined ? undefined : Math.floor(parseDuration(duration) / 1000);
}
