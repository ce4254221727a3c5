/** Connection pool settings as Envoy's circuit breakers, timeouts, keep-alive and HTTP protocol options. */
import { create } from "@bufbuild/protobuf";
import { type Any, durationFromMs } from "@bufbuild/protobuf/wkt";
import type { ConnectionPoolSettings } from "../istio/types.ts";
import { parseDuration } from "../istio/duration.ts";
import {
  type HttpProtocolOptions,
  HttpProtocolOptionsSchema,
} from "../xds/gen/envoy/extensions/upstreams/http/v3/http_protocol_options_pb.ts";
import type { EffectivePolicy } from "./traffic_policy.ts";
import { packAny } from "../xds/resources.ts";

/** Istio's "no limit" for every threshold. Envoy's own limit of 3 retries proved too low when endpoints come and go. */
export const NO_LIMIT = 2 ** 32 - 1;

/** Istio's bound for streams of one HTTP/2 connection: Envoy's maximum. */
const MAX_CONCURRENT_STREAMS = 2 ** 30;

const HTTP_PROTOCOL_OPTIONS = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions";

/** How upstream connections speak HTTP. */
export interface UpstreamProtocol {
  http2: boolean;
  /** Whether the host of a request is the server name of TLS, and whether the certificate must be for it. */
  autoSni?: boolean;
  autoSanValidation?: boolean;
}

/**
 * Fields of a cluster that follow from the pool settings. As in Istio, a limit of 0 means none was set.
 *
 * @param connectTimeout the mesh's own, in milliseconds, where the settings name none
 */
export function connectionPoolFields(
  { connectionPool: settings, outlierDetection, retryBudget }: EffectivePolicy,
  connectTimeout: number,
  protocol: UpstreamProtocol,
) {
  const { tcp, http } = settings ?? {};
  const keepalive = tcp?.tcpKeepalive;
  return {
    connectTimeout: durationFromMs(
      tcp?.connectTimeout === undefined ? connectTimeout : parseDuration(tcp.connectTimeout),
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
  { http2, autoSni = false, autoSanValidation = false }: UpstreamProtocol,
  errorCodes: readonly number[],
): Record<string, Any> {
  const idleTimeout = settings?.http?.idleTimeout ?? settings?.tcp?.idleTimeout;
  const maxRequests = settings?.http?.maxRequestsPerConnection || undefined;
  const byAuthority = autoSni || autoSanValidation;
  const plain = !http2 && !byAuthority && errorCodes.length === 0;
  if (plain && idleTimeout === undefined && maxRequests === undefined) return {};
  const options: HttpProtocolOptions = create(HttpProtocolOptionsSchema, {
    commonHttpProtocolOptions: idleTimeout === undefined && maxRequests === undefined ? undefined : {
      idleTimeout: idleTimeout === undefined ? undefined : durationFromMs(parseDuration(idleTimeout)),
      maxRequestsPerConnection: maxRequests,
    },
    upstreamHttpProtocolOptions: byAuthority ? { autoSni, autoSanValidation } : undefined,
    outlierDetection: errorCodes.length === 0 ? undefined : errorDetection(errorCodes),
    upstreamProtocolOptions: {
      case: "explicitHttpConfig",
      value: {
        protocolConfig: http2
          ? { case: "http2ProtocolOptions", value: { maxConcurrentStreams: MAX_CONCURRENT_STREAMS } }
          : { case: "httpProtocolOptions", value: {} },
      },
    },
  });
  return { [HTTP_PROTOCOL_OPTIONS]: packAny(HttpProtocolOptionsSchema, options) };
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
