/** Implemented fields of route configurations. */
import {
  DirectResponseActionSchema,
  HeaderMatcherSchema,
  QueryParameterMatcherSchema,
  RedirectActionSchema,
  RetryPolicy_RetryBackOffSchema,
  RetryPolicy_RetryHostPredicateSchema,
  RetryPolicy_RetryPrioritySchema,
  RetryPolicySchema,
  RouteAction_HashPolicy_ConnectionPropertiesSchema,
  RouteAction_HashPolicy_CookieAttributeSchema,
  RouteAction_HashPolicy_CookieSchema,
  RouteAction_HashPolicy_HeaderSchema,
  RouteAction_HashPolicy_QueryParameterSchema,
  RouteAction_HashPolicySchema,
  RouteAction_MaxStreamDurationSchema,
  RouteAction_RequestMirrorPolicySchema,
  RouteAction_UpgradeConfig_ConnectConfigSchema,
  RouteAction_UpgradeConfigSchema,
  RouteActionSchema,
  RouteMatch_ConnectMatcherSchema,
  RouteMatchSchema,
  RouteSchema,
  VirtualHostSchema,
  WeightedCluster_ClusterWeightSchema,
  WeightedClusterSchema,
} from "../../../../routing/xds/gen/envoy/config/route/v3/route_components_pb.ts";
import { RouteConfigurationSchema } from "../../../../routing/xds/gen/envoy/config/route/v3/route_pb.ts";
import { PreviousPrioritiesConfigSchema } from "../../../../routing/xds/gen/envoy/extensions/retry/priority/previous_priorities/v3/previous_priorities_config_pb.ts";
import { PreviousHostsPredicateSchema } from "../../../../routing/xds/gen/envoy/extensions/retry/host/previous_hosts/v3/previous_hosts_pb.ts";
import { message } from "./message_fields.ts";

const headers = "request_headers_to_add request_headers_to_remove response_headers_to_add response_headers_to_remove";
const informs = "only informs";

export const routeFields = [
  message(
    RouteConfigurationSchema,
    `name virtual_hosts ${headers} most_specific_header_mutations_wins max_direct_response_body_size_bytes
     ignore_port_in_host_matching typed_per_filter_config`,
    {
      metadata: informs,
      validate_clusters:
        "a cluster may come later; until then its requests are answered with 503, as without the check",
    },
  ),
  message(
    VirtualHostSchema,
    `name domains routes require_tls ${headers} typed_per_filter_config retry_policy
     include_request_attempt_count include_attempt_count_in_response`,
    {
      metadata: informs,
    },
  ),
  message(RouteSchema, `name match route redirect direct_response ${headers} typed_per_filter_config`, {
    metadata: informs,
    decorator: "names spans of traces, which are not made",
    stat_prefix: "names statistics that skiff does not keep",
  }),
  message(
    RouteMatchSchema,
    "prefix path safe_regex path_separated_prefix connect_matcher case_sensitive runtime_fraction headers query_parameters",
  ),
  message(RouteMatch_ConnectMatcherSchema, ""),
  message(
    HeaderMatcherSchema,
    `name exact_match safe_regex_match present_match prefix_match suffix_match contains_match string_match invert_match
     treat_missing_header_as_empty`,
  ),
  message(QueryParameterMatcherSchema, "name string_match present_match"),
  message(
    RouteActionSchema,
    `cluster weighted_clusters request_mirror_policies prefix_rewrite regex_rewrite host_rewrite_literal timeout idle_timeout retry_policy
     hash_policy upgrade_configs max_stream_duration max_grpc_timeout grpc_timeout_offset`,
  ),
  message(
    RouteAction_MaxStreamDurationSchema,
    "max_stream_duration grpc_timeout_header_max grpc_timeout_header_offset",
  ),
  message(RouteAction_UpgradeConfigSchema, "upgrade_type enabled connect_config"),
  message(RouteAction_UpgradeConfig_ConnectConfigSchema, ""),
  message(RouteAction_HashPolicySchema, "header cookie connection_properties query_parameter terminal"),
  message(RouteAction_HashPolicy_HeaderSchema, "header_name"),
  message(RouteAction_HashPolicy_CookieSchema, "name ttl path attributes"),
  message(RouteAction_HashPolicy_CookieAttributeSchema, "name value"),
  message(RouteAction_HashPolicy_ConnectionPropertiesSchema, "source_ip"),
  message(RouteAction_HashPolicy_QueryParameterSchema, "name"),
  message(RouteAction_RequestMirrorPolicySchema, "cluster runtime_fraction disable_shadow_host_suffix_append", {
    trace_sampled: "traces are not made",
  }),
  message(WeightedClusterSchema, "clusters total_weight", {
    runtime_key_prefix: "there is no runtime, so the weights as configured always hold",
  }),
  message(WeightedCluster_ClusterWeightSchema, `name weight ${headers} host_rewrite_literal`),
  message(
    RetryPolicySchema,
    `retry_on num_retries per_try_timeout retry_host_predicate retry_priority host_selection_retry_max_attempts retriable_status_codes
     retry_back_off`,
  ),
  message(RetryPolicy_RetryHostPredicateSchema, "typed_config", { name: "the type of typed_config decides" }),
  message(PreviousHostsPredicateSchema, ""),
  message(RetryPolicy_RetryPrioritySchema, "typed_config", { name: "the type of typed_config decides" }),
  message(PreviousPrioritiesConfigSchema, "update_frequency"),
  message(RetryPolicy_RetryBackOffSchema, "base_interval max_interval"),
  message(
    RedirectActionSchema,
    "https_redirect scheme_redirect host_redirect port_redirect path_redirect prefix_rewrite response_code strip_query",
  ),
  message(DirectResponseActionSchema, "status body"),
];
