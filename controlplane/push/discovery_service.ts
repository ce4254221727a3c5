/** `envoy.service.discovery.v3.AggregatedDiscoveryService` as @grpc/grpc-js takes it. */
import { Buffer } from "node:buffer";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import type { handleBidiStreamingCall, MethodDefinition } from "@grpc/grpc-js";
import {
  type DeltaDiscoveryRequest,
  DeltaDiscoveryRequestSchema,
  type DeltaDiscoveryResponse,
  DeltaDiscoveryResponseSchema,
} from "../../routing/xds/gen/envoy/service/discovery/v3/discovery_pb.ts";
import type { DeltaResponse } from "./delta_stream.ts";

/** What the handler of a stream is given. */
export type DeltaCall = Parameters<handleBidiStreamingCall<DeltaDiscoveryRequest, DeltaDiscoveryResponse>>[0];

/** State-of-the-world ADS is not served: it is answered with UNIMPLEMENTED. */
export const discoveryService: {
  deltaAggregatedResources: MethodDefinition<DeltaDiscoveryRequest, DeltaDiscoveryResponse>;
} = {
  deltaAggregatedResources: {
    path: "/envoy.service.discovery.v3.AggregatedDiscoveryService/DeltaAggregatedResources",
    originalName: "DeltaAggregatedResources",
    requestStream: true,
    responseStream: true,
    requestSerialize: (message) => Buffer.from(toBinary(DeltaDiscoveryRequestSchema, message)),
    requestDeserialize: (bytes) => fromBinary(DeltaDiscoveryRequestSchema, bytes),
    responseSerialize: (message) => Buffer.from(toBinary(DeltaDiscoveryResponseSchema, message)),
    responseDeserialize: (bytes) => fromBinary(DeltaDiscoveryResponseSchema, bytes),
  },
};

export function deltaResponse(response: DeltaResponse): DeltaDiscoveryResponse {
  return create(DeltaDiscoveryResponseSchema, response);
}
