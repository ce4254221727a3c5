/** The timeouts of a route, with Envoy's defaults. */
import type { RouteTimeouts } from "../../../routing/resilience/timeouts.ts";
import type { RouteAction } from "../../../routing/xds/gen/envoy/config/route/v3/route_components_pb.ts";
import type { Place } from "./unsupported.ts";
import { milliseconds } from "./values.ts";

const defaultTimeout = 15_000;

export function routeTimeouts(action: RouteAction, place: Place): RouteTimeouts {
  const timeouts: RouteTimeouts = { timeout: milliseconds(action.timeout, defaultTimeout, place.field("timeout")) };
  const maxGrpcTimeout = milliseconds(action.maxGrpcTimeout, null, place.field("max_grpc_timeout"));
  if (maxGrpcTimeout !== null) timeouts.maxGrpcTimeout = maxGrpcTimeout;
  const grpcTimeoutOffset = milliseconds(action.grpcTimeoutOffset, 0, place.field("grpc_timeout_offset"));
  if (grpcTimeoutOffset > 0) timeouts.grpcTimeoutOffset = grpcTimeoutOffset;
  const duration = action.maxStreamDuration;
  if (duration === undefined) return timeouts;
  const at = place.field("max_stream_duration");
  timeouts.newTimeouts = true;
  const longest = milliseconds(duration.maxStreamDuration, null, at.field("max_stream_duration"));
  if (longest !== null) timeouts.maxStreamDuration = longest;
  const headerMax = milliseconds(duration.grpcTimeoutHeaderMax, null, at.field("grpc_timeout_header_max"));
  if (headerMax !== null) timeouts.grpcTimeoutHeaderMax = headerMax;
  const headerOffset = milliseconds(duration.grpcTimeoutHeaderOffset, 0, at.field("grpc_timeout_header_offset"));
  if (headerOffset > 0) timeouts.grpcTimeoutHeaderOffset = headerOffset;
  return timeouts;
}
