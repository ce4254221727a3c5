/** Access logs of proxies, as the mesh's settings want them. */
import { create, type JsonObject } from "@bufbuild/protobuf";
import { parseExpression } from "../expression/parse.ts";
import type { FileAccessLogProvider, MeshSettings } from "../mesh.ts";
import { type AccessLog, AccessLogSchema } from "../xds/gen/envoy/config/accesslog/v3/accesslog_pb.ts";
import { FileAccessLogSchema } from "../xds/gen/envoy/extensions/access_loggers/file/v3/file_pb.ts";
import { ExpressionFilterSchema } from "../xds/gen/envoy/extensions/access_loggers/filters/cel/v3/cel_pb.ts";
import type { AccessLogOf } from "./telemetry/access_logging.ts";
import type { ProxySettings } from "./telemetry/proxy_settings.ts";
import { packAny } from "../xds/resources.ts";

/** Istio's default fields: names in JSON, and Envoy's command operators. */
const jsonFields: Readonly<Record<string, string>> = Object.freeze({
  start_time: "%START_TIME%",
  route_name: "%ROUTE_NAME%",
  method: "%REQ(:METHOD)%",
  path: "%REQ(X-ENVOY-ORIGINAL-PATH?:PATH)%",
  protocol: "%PROTOCOL%",
  response_code: "%RESPONSE_CODE%",
  response_flags: "%RESPONSE_FLAGS%",
  response_code_details: "%RESPONSE_CODE_DETAILS%",
  connection_termination_details: "%CONNECTION_TERMINATION_DETAILS%",
  bytes_received: "%BYTES_RECEIVED%",
  bytes_sent: "%BYTES_SENT%",
  duration: "%DURATION%",
  upstream_service_time: "%RESP(X-ENVOY-UPSTREAM-SERVICE-TIME)%",
  x_forwarded_for: "%REQ(X-FORWARDED-FOR)%",
  user_agent: "%REQ(USER-AGENT)%",
  request_id: "%REQ(X-REQUEST-ID)%",
  authority: "%REQ(:AUTHORITY)%",
  upstream_host: "%UPSTREAM_HOST%",
  upstream_cluster: "%UPSTREAM_CLUSTER%",
  upstream_local_address: "%UPSTREAM_LOCAL_ADDRESS%",
  downstream_local_address: "%DOWNSTREAM_LOCAL_ADDRESS%",
  downstream_remote_address: "%DOWNSTREAM_REMOTE_ADDRESS%",
  requested_server_name: "%REQUESTED_SERVER_NAME%",
  upstream_transport_failure_reason: "%UPSTREAM_TRANSPORT_FAILURE_REASON%",
});

/** Istio's default line of text. */
const textLine = '[%START_TIME%] "%REQ(:METHOD)% %REQ(X-ENVOY-ORIGINAL-PATH?:PATH)% %PROTOCOL%" %RESPONSE_CODE% ' +
  "%RESPONSE_FLAGS% %RESPONSE_CODE_DETAILS% %CONNECTION_TERMINATION_DETAILS% " +
  '"%UPSTREAM_TRANSPORT_FAILURE_REASON%" %BYTES_RECEIVED% %BYTES_SENT% %DURATION% ' +
  '%RESP(X-ENVOY-UPSTREAM-SERVICE-TIME)% "%REQ(X-FORWARDED-FOR)%" "%REQ(USER-AGENT)%" "%REQ(X-REQUEST-ID)%" ' +
  '"%REQ(:AUTHORITY)%" "%UPSTREAM_HOST%" %UPSTREAM_CLUSTER% %UPSTREAM_LOCAL_ADDRESS% ' +
  "%DOWNSTREAM_LOCAL_ADDRESS% %DOWNSTREAM_REMOTE_ADDRESS% %REQUESTED_SERVER_NAME% %ROUTE_NAME%\n";

/** The access logs of one side of a proxy. */
export function accessLogs(settings: ProxySettings): AccessLog[] {
  const logs = settings.accessLogs ??
    (settings.accessLogFile === "" ? [] : [{ provider: { path: settings.accessLogFile } }]);
  return logs.map((log) => fileAccessLog(log, settings));
}

function fileAccessLog({ provider, filter }: AccessLogOf, settings: MeshSettings): AccessLog {
  const { path, omitEmptyValues = false } = provider;
  const log = create(FileAccessLogSchema, {
    path,
    accessLogFormat: { case: "logFormat", value: { format: providerFormat(provider, settings), omitEmptyValues } },
  });
  return create(AccessLogSchema, {
    name: "envoy.access_loggers.file",
    filter: filter === undefined || "unreadable" in parseExpression(filter) ? undefined : celFilter(filter),
    configType: { case: "typedConfig", value: packAny(FileAccessLogSchema, log) },
  });
}

/** As istiod has it; the proxy evaluates the expression for each line. */
function celFilter(expression: string) {
  const filter = create(ExpressionFilterSchema, { expression });
  return {
    filterSpecifier: {
      case: "extensionFilter" as const,
      value: {
        name: "envoy.access_loggers.extension_filters.cel",
        configType: { case: "typedConfig" as const, value: packAny(ExpressionFilterSchema, filter) },
      },
    },
  };
}

function providerFormat({ text, labels }: FileAccessLogProvider, settings: MeshSettings) {
  if (labels !== undefined) return { case: "jsonFormat" as const, value: { ...labels } };
  return text === undefined ? logFormat(settings) : logFormat({ accessLogEncoding: "TEXT", accessLogFormat: text });
}

function logFormat(
  { accessLogEncoding, accessLogFormat }: Pick<MeshSettings, "accessLogEncoding" | "accessLogFormat">,
) {
  if (accessLogEncoding === "JSON") {
    return { case: "jsonFormat" as const, value: jsonFormat(accessLogFormat) ?? { ...jsonFields } };
  }
  const inlineString = accessLogFormat === ""
    ? textLine
    : accessLogFormat.endsWith("\n")
    ? accessLogFormat
    : `${accessLogFormat}\n`;
  return {
    case: "textFormatSource" as const,
    value: { specifier: { case: "inlineString" as const, value: inlineString } },
  };
}

/** As in Istio, a format that is no JSON object gives way to the default. */
function jsonFormat(text: string): JsonObject | undefined {
  if (text === "") return undefined;
  try {
    const value = JSON.parse(text);
    return typeof value === "object" && value !== null && !Array.isArray(value) ? value : undefined;
  } catch {
    return undefined;
  }
}
