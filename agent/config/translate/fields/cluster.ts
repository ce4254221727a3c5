/** Implemented fields of clusters. */
import {
  Http2ProtocolOptionsSchema,
  KeepaliveSettingsSchema,
  UpstreamHttpProtocolOptionsSchema,
} from "../../../../routing/xds/gen/envoy/config/core/v3/protocol_pb.ts";
import {
  CircuitBreakers_Thresholds_RetryBudgetSchema,
  CircuitBreakers_ThresholdsSchema,
  CircuitBreakersSchema,
} from "../../../../routing/xds/gen/envoy/config/cluster/v3/circuit_breaker_pb.ts";
import {
  Cluster_CommonLbConfig_ConsistentHashingLbConfigSchema,
  Cluster_CommonLbConfig_LocalityWeightedLbConfigSchema,
  Cluster_CommonLbConfigSchema,
  Cluster_CustomClusterTypeSchema,
  Cluster_EdsClusterConfigSchema,
  Cluster_LeastRequestLbConfigSchema,
  Cluster_MaglevLbConfigSchema,
  Cluster_RefreshRateSchema,
  Cluster_RingHashLbConfigSchema,
  Cluster_RoundRobinLbConfigSchema,
  Cluster_SlowStartConfigSchema,
  Cluster_TransportSocketMatchSchema,
  ClusterSchema,
  UpstreamConnectionOptionsSchema,
} from "../../../../routing/xds/gen/envoy/config/cluster/v3/cluster_pb.ts";
import {
  HttpHeadersMatchSchema,
  MatchPredicate_MatchSetSchema,
  MatchPredicateSchema,
} from "../../../../routing/xds/gen/envoy/config/common/matcher/v3/matcher_pb.ts";
import { OutlierDetectionSchema } from "../../../../routing/xds/gen/envoy/config/cluster/v3/outlier_detection_pb.ts";
import { RuntimeDoubleSchema } from "../../../../routing/xds/gen/envoy/config/core/v3/base_pb.ts";
import { TcpKeepaliveSchema } from "../../../../routing/xds/gen/envoy/config/core/v3/address_pb.ts";
import {
  HealthCheck_GrpcHealthCheckSchema,
  HealthCheck_HttpHealthCheckSchema,
  HealthCheck_PayloadSchema,
  HealthCheck_TcpHealthCheckSchema,
  HealthCheckSchema,
} from "../../../../routing/xds/gen/envoy/config/core/v3/health_check_pb.ts";
import { Int64RangeSchema } from "../../../../routing/xds/gen/envoy/type/v3/range_pb.ts";
import {
  HttpProtocolOptions_ExplicitHttpConfigSchema,
  HttpProtocolOptions_OutlierDetectionSchema,
  HttpProtocolOptions_UseDownstreamHttpConfigSchema,
  HttpProtocolOptionsSchema,
} from "../../../../routing/xds/gen/envoy/extensions/upstreams/http/v3/http_protocol_options_pb.ts";
import { ClusterConfigSchema } from "../../../../routing/xds/gen/envoy/extensions/clusters/dynamic_forward_proxy/v3/cluster_pb.ts";
import {
  DnsCacheCircuitBreakersSchema,
  DnsCacheConfigSchema,
} from "../../../../routing/xds/gen/envoy/extensions/common/dynamic_forward_proxy/v3/dns_cache_pb.ts";
import { message } from "./message_fields.ts";

export const clusterFields = [
  message(
    ClusterSchema,
    `name type cluster_type eds_cluster_config connect_timeout lb_policy load_assignment circuit_breakers
     typed_extension_protocol_options outlier_detection least_request_lb_config round_robin_lb_config
     health_checks ring_hash_lb_config maglev_lb_config common_lb_config
     transport_socket transport_socket_matches metadata upstream_connection_options
     dns_refresh_rate dns_failure_refresh_rate respect_dns_ttl dns_lookup_family`,
    { alt_stat_name: "names statistics that skiff does not keep" },
  ),
  message(Cluster_CustomClusterTypeSchema, "typed_config", { name: "the message's type tells the cluster's" }),
  message(ClusterConfigSchema, "dns_cache_config", {
    allow_insecure_cluster_options: "only lets pass what auto_sni and auto_san_validation say",
  }),
  message(
    DnsCacheConfigSchema,
    `name dns_lookup_family dns_refresh_rate host_ttl max_hosts dns_failure_refresh_rate dns_cache_circuit_breaker
     dns_query_timeout`,
  ),
  message(DnsCacheCircuitBreakersSchema, "max_pending_requests"),
  message(Cluster_RefreshRateSchema, "base_interval max_interval"),
  message(Cluster_TransportSocketMatchSchema, "match transport_socket", { name: "names statistics" }),
  message(Cluster_EdsClusterConfigSchema, "eds_config service_name"),
  message(Cluster_LeastRequestLbConfigSchema, "choice_count active_request_bias slow_start_config"),
  message(Cluster_RoundRobinLbConfigSchema, "slow_start_config"),
  message(Cluster_SlowStartConfigSchema, "slow_start_window aggression min_weight_percent"),
  message(RuntimeDoubleSchema, "default_value", {
    runtime_key: "there is no runtime, so the default value always holds",
  }),
  message(Cluster_RingHashLbConfigSchema, "minimum_ring_size hash_function maximum_ring_size"),
  message(Cluster_MaglevLbConfigSchema, "table_size"),
  message(
    Cluster_CommonLbConfigSchema,
    "healthy_panic_threshold locality_weighted_lb_config consistent_hashing_lb_config",
    {
      update_merge_window: "endpoint updates are applied at once, which shows the same hosts sooner",
    },
  ),
  message(Cluster_CommonLbConfig_LocalityWeightedLbConfigSchema, ""),
  message(Cluster_CommonLbConfig_ConsistentHashingLbConfigSchema, "hash_balance_factor"),
  message(
    HealthCheckSchema,
    `timeout interval initial_jitter interval_jitter interval_jitter_percent unhealthy_threshold healthy_threshold
     http_health_check tcp_health_check grpc_health_check alt_port no_traffic_interval no_traffic_healthy_interval unhealthy_interval
     unhealthy_edge_interval healthy_edge_interval`,
    {
      reuse_connection:
        "only changes what checks cost: HTTP checks share the cluster's connections, TCP ones close theirs",
    },
  ),
  message(
    HealthCheck_HttpHealthCheckSchema,
    "host path expected_statuses retriable_statuses method request_headers_to_add request_headers_to_remove",
  ),
  message(HealthCheck_TcpHealthCheckSchema, "send receive"),
  message(HealthCheck_PayloadSchema, "text binary"),
  message(HealthCheck_GrpcHealthCheckSchema, "service_name authority initial_metadata"),
  message(Int64RangeSchema, "start end"),
  message(CircuitBreakersSchema, "thresholds"),
  message(
    CircuitBreakers_ThresholdsSchema,
    "priority max_connections max_pending_requests max_requests max_retries retry_budget",
    { track_remaining: "changes statistics that skiff does not keep" },
  ),
  message(CircuitBreakers_Thresholds_RetryBudgetSchema, "budget_percent min_retry_concurrency"),
  message(
    OutlierDetectionSchema,
    `consecutive_5xx interval base_ejection_time max_ejection_percent enforcing_consecutive_5xx enforcing_success_rate
     consecutive_gateway_failure enforcing_consecutive_gateway_failure split_external_local_origin_errors
     consecutive_local_origin_failure enforcing_consecutive_local_origin_failure enforcing_local_origin_success_rate
     enforcing_failure_percentage enforcing_failure_percentage_local_origin max_ejection_time max_ejection_time_jitter always_eject_one_host
     success_rate_minimum_hosts success_rate_request_volume success_rate_stdev_factor failure_percentage_threshold
     failure_percentage_minimum_hosts failure_percentage_request_volume successful_active_health_check_uneject_host`,
  ),
  message(UpstreamConnectionOptionsSchema, "tcp_keepalive"),
  message(TcpKeepaliveSchema, "keepalive_probes keepalive_time keepalive_interval"),
  message(
    HttpProtocolOptionsSchema,
    `common_http_protocol_options explicit_http_config use_downstream_protocol_config upstream_http_protocol_options
     outlier_detection`,
  ),
  message(UpstreamHttpProtocolOptionsSchema, "auto_sni auto_san_validation"),
  message(HttpProtocolOptions_OutlierDetectionSchema, "error_matcher"),
  message(MatchPredicateSchema, "or_match and_match not_match any_match http_response_headers_match"),
  message(MatchPredicate_MatchSetSchema, "rules"),
  message(HttpHeadersMatchSchema, "headers"),
  message(HttpProtocolOptions_ExplicitHttpConfigSchema, "http_protocol_options http2_protocol_options"),
  message(HttpProtocolOptions_UseDownstreamHttpConfigSchema, "http_protocol_options http2_protocol_options"),
  message(Http2ProtocolOptionsSchema, "max_concurrent_streams connection_keepalive"),
  message(KeepaliveSettingsSchema, "interval timeout interval_jitter"),
];
