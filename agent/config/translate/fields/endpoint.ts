/** Implemented fields of cluster load assignments. */
import {
  Endpoint_HealthCheckConfigSchema,
  EndpointSchema,
  LbEndpointSchema,
  LocalityLbEndpointsSchema,
} from "../../../../routing/xds/gen/envoy/config/endpoint/v3/endpoint_components_pb.ts";
import {
  ClusterLoadAssignment_PolicySchema,
  ClusterLoadAssignmentSchema,
} from "../../../../routing/xds/gen/envoy/config/endpoint/v3/endpoint_pb.ts";
import { message } from "./message_fields.ts";

export const endpointFields = [
  message(ClusterLoadAssignmentSchema, "cluster_name endpoints policy"),
  message(ClusterLoadAssignment_PolicySchema, "overprovisioning_factor"),
  message(LocalityLbEndpointsSchema, "locality lb_endpoints load_balancing_weight priority", {
    metadata: "only informs",
  }),
  message(LbEndpointSchema, "endpoint health_status metadata load_balancing_weight"),
  message(Endpoint_HealthCheckConfigSchema, "port_value hostname disable_active_health_check"),
  message(EndpointSchema, "address health_check_config", {
    hostname: "used only by automatic host rewriting and by hashing of names, which are refused",
  }),
];
