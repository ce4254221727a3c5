/** Active health checks, with Envoy's defaults. */
import { type HeaderValueOption, RequestMethod } from "../../../routing/xds/gen/envoy/config/core/v3/base_pb.ts";
import type {
  HealthCheck,
  HealthCheck_HttpHealthCheck,
  HealthCheck_Payload,
  HealthCheck_TcpHealthCheck,
} from "../../../routing/xds/gen/envoy/config/core/v3/health_check_pb.ts";
import type { Int64Range } from "../../../routing/xds/gen/envoy/type/v3/range_pb.ts";
import type { HealthCheckConfig } from "../../health_check/config.ts";
import { headerAdditions } from "./header_mutation.ts";
import type { Place } from "./unsupported.ts";
import { milliseconds, positiveMilliseconds } from "./values.ts";

const largestPayload = 1024;

const userAgent = { name: "user-agent", value: "skiff/HC" };

const methods: Partial<Record<RequestMethod, string>> = {
  [RequestMethod.METHOD_UNSPECIFIED]: "GET",
  [RequestMethod.GET]: "GET",
  [RequestMethod.HEAD]: "HEAD",
  [RequestMethod.OPTIONS]: "OPTIONS",
  [RequestMethod.TRACE]: "TRACE",
};

/** Of the list at most one, as in Envoy. `http2`: whether the cluster speaks it. */
export function healthCheck(
  checks: readonly HealthCheck[],
  http2: boolean,
  place: Place,
): { healthCheck?: HealthCheckConfig } {
  if (checks.length === 0) return {};
  place.require(checks.length === 1, "want at most one");
  const [check] = checks;
  const at = place.item(0);
  const required = (name: "timeout" | "interval") => positiveMilliseconds(check[name], 0, at.field(name));
  const interval = required("interval");
  at.field("unhealthy_threshold").require((check.unhealthyThreshold ?? 0) > 0, "want a number of at least 1");
  at.field("healthy_threshold").require((check.healthyThreshold ?? 0) > 0, "want a number of at least 1");
  const noTrafficInterval = positiveMilliseconds(check.noTrafficInterval, 60_000, at.field("no_traffic_interval"));
  const unhealthyInterval = positiveMilliseconds(check.unhealthyInterval, interval, at.field("unhealthy_interval"));
  return {
    healthCheck: {
      check: kind(check, http2, at),
      ...(check.altPort === undefined ? {} : { port: altPort(check.altPort, at.field("alt_port")) }),
      timeout: required("timeout"),
      interval,
      initialJitter: milliseconds(check.initialJitter, 0, at.field("initial_jitter")),
      intervalJitter: milliseconds(check.intervalJitter, 0, at.field("interval_jitter")),
      intervalJitterPercent: check.intervalJitterPercent,
      unhealthyThreshold: check.unhealthyThreshold!,
      healthyThreshold: check.healthyThreshold!,
      noTrafficInterval,
      noTrafficHealthyInterval: positiveMilliseconds(
        check.noTrafficHealthyInterval,
        noTrafficInterval,
        at.field("no_traffic_healthy_interval"),
      ),
      unhealthyInterval,
      unhealthyEdgeInterval: positiveMilliseconds(
        check.unhealthyEdgeInterval,
        unhealthyInterval,
        at.field("unhealthy_edge_interval"),
      ),
      healthyEdgeInterval: positiveMilliseconds(
        check.healthyEdgeInterval,
        interval,
        at.field("healthy_edge_interval"),
      ),
    },
  };
}

function kind({ healthChecker }: HealthCheck, http2: boolean, place: Place): HealthCheckConfig["check"] {
  switch (healthChecker.case) {
    case "httpHealthCheck":
      return http(healthChecker.value, place.field("http_health_check"));
    case "tcpHealthCheck":
      return tcp(healthChecker.value, place.field("tcp_health_check"));
    case "grpcHealthCheck": {
      const { serviceName, authority } = healthChecker.value;
      const at = place.field("grpc_health_check");
      at.require(http2, "want a cluster with http2_protocol_options");
      at.field("service_name").require(new TextEncoder().encode(serviceName).length < 126, "want at most 125 bytes");
      at.field("authority").require(/^[\x21-\x7e]*$/.test(authority), "want a host without blanks");
      const { initialMetadata } = healthChecker.value;
      return {
        kind: "grpc",
        service: serviceName,
        authority,
        headerLines: headerLines(initialMetadata, [], at.field("initial_metadata")),
      };
    }
    default:
      return place.refuse("want an http_health_check, a tcp_health_check or a grpc_health_check");
  }
}

function http(check: HealthCheck_HttpHealthCheck, place: Place): HealthCheckConfig["check"] {
  const { host, path, requestHeadersToAdd, requestHeadersToRemove } = check;
  place.field("path").require(/^\/[\x21-\x7e]*$/.test(path), "want a path that begins with / and has no blanks");
  place.field("host").require(/^[\x21-\x7e]*$/.test(host), "want a host without blanks");
  const method = methods[check.method];
  if (method === undefined) return place.field("method").refuse(`${RequestMethod[check.method]} is not implemented`);
  const expected = ranges(check.expectedStatuses, place.field("expected_statuses"));
  return {
    kind: "http",
    method,
    host,
    path,
    headerLines: headerLines(requestHeadersToAdd, requestHeadersToRemove, place.field("request_headers_to_add")),
    expectedStatuses: expected.length > 0 ? expected : [{ start: 200, end: 201 }],
    retriableStatuses: ranges(check.retriableStatuses, place.field("retriable_statuses")),
  };
}

/** What checks send of headers beside the host. A check is nobody's request, so values are as they stand. */
function headerLines(add: HeaderValueOption[], remove: readonly string[], place: Place): string {
  const additions = headerAdditions(add, place);
  additions.forEach(({ name, format }, index) => {
    place.item(index).field("header.key").require(!name.startsWith(":") && name !== "host", "cannot be set here");
    place.item(index).field("header.value").require(format === undefined, "want a value without operators");
  });
  const isReplaced = additions.some(({ name, mode }) => name === userAgent.name && mode === "overwrite");
  const own = isReplaced || remove.some((name) => name.toLowerCase() === userAgent.name) ? [] : [userAgent];
  return [...own, ...additions].map(({ name, value }) => `${name}: ${value}\r\n`).join("");
}

function tcp({ send, receive }: HealthCheck_TcpHealthCheck, place: Place): HealthCheckConfig["check"] {
  return {
    kind: "tcp",
    send: send === undefined ? [] : payload(send, place.field("send")),
    receive: receive.map((one, index) => payload(one, place.field("receive").item(index))),
  };
}

/** Text is in hexadecimal, as in Envoy. */
function payload({ payload }: HealthCheck_Payload, place: Place): number[] {
  const bytes = payload.case === "binary" ? [...payload.value] : hexadecimal(payload.value ?? "", place.field("text"));
  place.require(bytes.length > 0 && bytes.length <= largestPayload, `want from 1 to ${largestPayload} bytes`);
  return bytes;
}

function hexadecimal(text: string, place: Place): number[] {
  place.require(/^([0-9a-fA-F]{2})*$/.test(text), "want bytes in hexadecimal");
  return (text.match(/../g) ?? []).map((pair) => parseInt(pair, 16));
}

function altPort(port: number, place: Place): number {
  place.require(port > 0 && port <= 65535, "want a port number");
  return port;
}

function ranges(list: readonly Int64Range[], place: Place): { start: number; end: number }[] {
  return list.map(({ start, end }, index) => {
    place.item(index).require(start >= 100n && start < end && end <= 600n, "want a range within 100 to 600");
    return { start: Number(start), end: Number(end) };
  });
}
