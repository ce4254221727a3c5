/** Implemented fields of messages that several resources are made of. */
import {
  AddressSchema,
  PipeSchema,
  SocketAddressSchema,
} from "../../../../routing/xds/gen/envoy/config/core/v3/address_pb.ts";
import {
  DataSourceSchema,
  HeaderValueOptionSchema,
  HeaderValueSchema,
  LocalitySchema,
  MetadataSchema,
  RuntimeFractionalPercentSchema,
  TransportSocketSchema,
} from "../../../../routing/xds/gen/envoy/config/core/v3/base_pb.ts";
import {
  AggregatedConfigSourceSchema,
  ConfigSourceSchema,
} from "../../../../routing/xds/gen/envoy/config/core/v3/config_source_pb.ts";
import {
  Http1ProtocolOptionsSchema,
  HttpProtocolOptionsSchema,
} from "../../../../routing/xds/gen/envoy/config/core/v3/protocol_pb.ts";
import {
  RegexMatchAndSubstituteSchema,
  RegexMatcher_GoogleRE2Schema,
  RegexMatcherSchema,
} from "../../../../routing/xds/gen/envoy/type/matcher/v3/regex_pb.ts";
import { StringMatcherSchema } from "../../../../routing/xds/gen/envoy/type/matcher/v3/string_pb.ts";
import { FractionalPercentSchema, PercentSchema } from "../../../../routing/xds/gen/envoy/type/v3/percent_pb.ts";
import { message } from "./message_fields.ts";

const runtimeKey = "there is no runtime, so the default value always holds";

export const sharedFields = [
  message(AddressSchema, "socket_address pipe"),
  message(SocketAddressSchema, "protocol address port_value"),
  message(PipeSchema, "path"),
  message(DataSourceSchema, "filename inline_bytes inline_string", {
    watched_directory: "every file is looked at again and again, wherever it lies",
  }),
  message(HeaderValueOptionSchema, "header append append_action keep_empty_value"),
  message(HeaderValueSchema, "key value raw_value"),
  message(LocalitySchema, "region zone sub_zone"),
  message(MetadataSchema, "filter_metadata", {
    typed_filter_metadata: "what is not asked for by an implemented field only informs",
  }),
  message(RuntimeFractionalPercentSchema, "default_value", { runtime_key: runtimeKey }),
  message(TransportSocketSchema, "typed_config", { name: "the type of typed_config decides" }),
  message(ConfigSourceSchema, "ads resource_api_version", {
    initial_fetch_timeout: "the agent serves nothing that refers to a resource it does not have yet, however long",
  }),
  message(AggregatedConfigSourceSchema, ""),
  message(
    HttpProtocolOptionsSchema,
    "idle_timeout max_requests_per_connection max_connection_duration max_headers_count max_stream_duration",
  ),
  message(Http1ProtocolOptionsSchema, ""),
  message(RegexMatcherSchema, "regex google_re2"),
  message(RegexMatcher_GoogleRE2Schema, "", { max_program_size: "a limit of the control plane's own, checked there" }),
  message(RegexMatchAndSubstituteSchema, "pattern substitution"),
  message(StringMatcherSchema, "exact prefix suffix safe_regex contains ignore_case"),
  message(FractionalPercentSchema, "numerator denominator"),
  message(PercentSchema, "value"),
];
