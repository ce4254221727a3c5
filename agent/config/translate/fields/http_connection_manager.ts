/** Implemented fields of the HTTP connection manager and its filters. */
import { CidrRangeSchema } from "../../../../routing/xds/gen/envoy/config/core/v3/address_pb.ts";
import { FaultDelaySchema } from "../../../../routing/xds/gen/envoy/extensions/filters/common/fault/v3/fault_pb.ts";
import {
  BufferPerRouteSchema,
  BufferSchema,
} from "../../../../routing/xds/gen/envoy/extensions/filters/http/buffer/v3/buffer_pb.ts";
import {
  CorsPolicySchema,
  CorsSchema,
} from "../../../../routing/xds/gen/envoy/extensions/filters/http/cors/v3/cors_pb.ts";
import {
  FaultAbortSchema,
  HTTPFaultSchema,
} from "../../../../routing/xds/gen/envoy/extensions/filters/http/fault/v3/fault_pb.ts";
import { LocalRateLimitSchema } from "../../../../routing/xds/gen/envoy/extensions/filters/http/local_ratelimit/v3/local_rate_limit_pb.ts";
import { HttpStatusSchema } from "../../../../routing/xds/gen/envoy/type/v3/http_status_pb.ts";
import { TokenBucketSchema } from "../../../../routing/xds/gen/envoy/type/v3/token_bucket_pb.ts";
import { RouterSchema } from "../../../../routing/xds/gen/envoy/extensions/filters/http/router/v3/router_pb.ts";
import {
  HttpConnectionManager_InternalAddressConfigSchema,
  HttpConnectionManager_SetCurrentClientCertDetailsSchema,
  HttpConnectionManager_UpgradeConfigSchema,
  HttpConnectionManagerSchema,
  HttpFilterSchema,
  RdsSchema,
} from "../../../../routing/xds/gen/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager_pb.ts";
import { FilterConfigSchema } from "../../../../routing/xds/gen/envoy/extensions/filters/http/dynamic_forward_proxy/v3/dynamic_forward_proxy_pb.ts";
import { message } from "./message_fields.ts";

const statistics = "changes statistics that skiff does not keep";

export const httpConnectionManagerFields = [
  message(
    HttpConnectionManagerSchema,
    `codec_type stat_prefix rds route_config http_filters common_http_protocol_options http_protocol_options server_name
     max_request_headers_kb stream_idle_timeout request_headers_timeout request_timeout access_log use_remote_address
     generate_request_id forward_client_cert_details set_current_client_cert_details normalize_path merge_slashes
     xff_num_trusted_hops skip_xff_append internal_address_config preserve_external_request_id via
     always_set_request_id_in_response path_with_escaped_slashes_action strip_matching_host_port strip_any_host_port strip_trailing_host_dot upgrade_configs`,
  ),
  message(HttpConnectionManager_UpgradeConfigSchema, "upgrade_type filters enabled"),
  message(HttpConnectionManager_SetCurrentClientCertDetailsSchema, "subject cert chain dns uri"),
  message(HttpConnectionManager_InternalAddressConfigSchema, "cidr_ranges"),
  message(CidrRangeSchema, "address_prefix prefix_len"),
  message(RdsSchema, "config_source route_config_name"),
  message(HttpFilterSchema, "name typed_config", { is_optional: "the filter is implemented, so it is there" }),
  message(RouterSchema, "respect_expected_rq_timeout", {
    dynamic_stats: statistics,
    suppress_grpc_request_failure_code_stats: statistics,
  }),
  message(BufferSchema, "max_request_bytes"),
  message(BufferPerRouteSchema, "disabled buffer"),
  message(FilterConfigSchema, "dns_cache_config"),
  message(CorsSchema, ""),
  message(
    CorsPolicySchema,
    `allow_origin_string_match allow_methods allow_headers expose_headers max_age allow_credentials filter_enabled
     allow_private_network_access forward_not_matching_preflights`,
  ),
  message(
    LocalRateLimitSchema,
    `status token_bucket filter_enabled filter_enforced response_headers_to_add enable_x_ratelimit_headers
     local_rate_limit_per_downstream_connection rate_limited_as_resource_exhausted`,
    { stat_prefix: statistics },
  ),
  message(TokenBucketSchema, "max_tokens tokens_per_fill fill_interval"),
  message(HttpStatusSchema, "code"),
  message(HTTPFaultSchema, "delay abort", { disable_downstream_cluster_stats: statistics }),
  message(FaultDelaySchema, "fixed_delay percentage"),
  message(FaultAbortSchema, "http_status grpc_status percentage"),
];
