/** Implemented fields of listeners. */
import {
  AccessLogFilterSchema,
  AccessLogSchema,
  ExtensionFilterSchema,
} from "../../../../routing/xds/gen/envoy/config/accesslog/v3/accesslog_pb.ts";
import { SubstitutionFormatStringSchema } from "../../../../routing/xds/gen/envoy/config/core/v3/substitution_format_string_pb.ts";
import {
  FilterChainMatchSchema,
  FilterChainSchema,
  FilterSchema,
  ListenerFilterSchema,
} from "../../../../routing/xds/gen/envoy/config/listener/v3/listener_components_pb.ts";
import { ListenerSchema } from "../../../../routing/xds/gen/envoy/config/listener/v3/listener_pb.ts";
import { FileAccessLogSchema } from "../../../../routing/xds/gen/envoy/extensions/access_loggers/file/v3/file_pb.ts";
import { ExpressionFilterSchema } from "../../../../routing/xds/gen/envoy/extensions/access_loggers/filters/cel/v3/cel_pb.ts";
import { HttpInspectorSchema } from "../../../../routing/xds/gen/envoy/extensions/filters/listener/http_inspector/v3/http_inspector_pb.ts";
import { ProxyProtocolSchema } from "../../../../routing/xds/gen/envoy/extensions/filters/listener/proxy_protocol/v3/proxy_protocol_pb.ts";
import { TlsInspectorSchema } from "../../../../routing/xds/gen/envoy/extensions/filters/listener/tls_inspector/v3/tls_inspector_pb.ts";
import { message } from "./message_fields.ts";

const byType = "the type of typed_config decides";
const informs = "only informs";

export const listenerFields = [
  message(
    ListenerSchema,
    `name address filter_chains listener_filters listener_filters_timeout continue_on_listener_filters_timeout
     traffic_direction bind_to_port enable_reuse_port metadata`,
    {
      stat_prefix: "names statistics that skiff does not keep",
    },
  ),
  message(ListenerFilterSchema, "typed_config", { name: byType }),
  message(TlsInspectorSchema, ""),
  message(HttpInspectorSchema, ""),
  message(ProxyProtocolSchema, "allow_requests_without_proxy_protocol", {
    stat_prefix: "names statistics that skiff does not keep",
  }),
  message(FilterChainSchema, "name filter_chain_match filters transport_socket transport_socket_connect_timeout", {
    metadata: informs,
  }),
  message(FilterChainMatchSchema, "server_names transport_protocol application_protocols"),
  message(FilterSchema, "typed_config", { name: byType }),
  message(AccessLogSchema, "filter typed_config", { name: byType }),
  message(AccessLogFilterSchema, "extension_filter"),
  message(ExtensionFilterSchema, "typed_config", { name: byType }),
  message(ExpressionFilterSchema, "expression"),
  message(FileAccessLogSchema, "path format json_format log_format"),
  message(SubstitutionFormatStringSchema, "text_format text_format_source json_format omit_empty_values", {
    content_type: "only for replies; this is a log's format",
  }),
];
