/** Access logs: files, in text or JSON. */
import type { JsonObject } from "@bufbuild/protobuf";
import { parseExpression } from "../../../routing/expression/parse.ts";
import type { AccessLog, AccessLogFilter } from "../../../routing/xds/gen/envoy/config/accesslog/v3/accesslog_pb.ts";
import type { SubstitutionFormatString } from "../../../routing/xds/gen/envoy/config/core/v3/substitution_format_string_pb.ts";
import {
  type FileAccessLog,
  FileAccessLogSchema,
} from "../../../routing/xds/gen/envoy/extensions/access_loggers/file/v3/file_pb.ts";
import { ExpressionFilterSchema } from "../../../routing/xds/gen/envoy/extensions/access_loggers/filters/cel/v3/cel_pb.ts";
import type { AccessLogConfig } from "../access_log_config.ts";
import { unpack } from "./strict.ts";
import type { Place } from "./unsupported.ts";
import { inlineText, textValues } from "./values.ts";

export function accessLogs(logs: AccessLog[], place: Place): AccessLogConfig[] {
  return logs.map(({ configType, filter }, index) => {
    const at = place.item(index).field("typed_config");
    const log = unpack(configType.value, FileAccessLogSchema, at);
    at.field("path").require(log.path !== "", "want a path");
    return { path: log.path, ...logFormat(log, at), ...logFilter(filter, place.item(index).field("filter")) };
  });
}

function logFilter(filter: AccessLogFilter | undefined, place: Place): Pick<AccessLogConfig, "filter"> {
  if (filter === undefined) return {};
  const { case: kind, value } = filter.filterSpecifier;
  if (kind !== "extensionFilter") return place.refuse("want an extension_filter");
  const at = place.field("extension_filter").field("typed_config");
  const { expression } = unpack(value.configType.value, ExpressionFilterSchema, at);
  const parsed = parseExpression(expression);
  if ("unreadable" in parsed) return at.field("expression").refuse(`${parsed.unreadable} is not implemented`);
  return { filter: parsed };
}

/** The empty format is Envoy's default. */
function logFormat({ accessLogFormat: format }: FileAccessLog, place: Place) {
  switch (format.case) {
    case undefined:
      return text("");
    case "format":
      return text(format.value);
    case "jsonFormat":
      return json(format.value, place.field("json_format"));
    case "logFormat":
      return substitutionFormat(format.value, place.field("log_format"));
    default:
      return place.refuse("is not implemented");
  }
}

function substitutionFormat(formatString: SubstitutionFormatString, place: Place) {
  const { omitEmptyValues } = formatString;
  return { ...formatOf(formatString, place), ...(omitEmptyValues ? { omitEmptyValues } : {}) };
}

function formatOf({ format }: SubstitutionFormatString, place: Place) {
  switch (format.case) {
    case "textFormat":
      return text(format.value);
    case "textFormatSource":
      return text(inlineText(format.value, place.field("text_format_source")) ?? "");
    case "jsonFormat":
      return json(format.value, place.field("json_format"));
    default:
      return place.refuse("want a format");
  }
}

function text(format: string) {
  return { format, json: null };
}

function json(fields: JsonObject, place: Place) {
  return { format: null, json: textValues(fields, place) };
}
