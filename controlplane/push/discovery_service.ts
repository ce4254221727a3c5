/** Delta ADS, `envoy.service.discovery.v3.AggregatedDiscoveryService`, as a method of the gRPC server. */
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import {
  type DeltaDiscoveryRequest,
  DeltaDiscoveryRequestSchema,
  DeltaDiscoveryResponseSchema,
} from "../../routing/xds/gen/envoy/service/discovery/v3/discovery_pb.ts";
import type { Caller, Method } from "../grpc/grpc_call.ts";
import type { DeltaResponse } from "./delta_stream.ts";

/** One stream, for whoever serves it. */
export interface DeltaCall {
  readonly caller: Caller;
  /** Queues a response. */
  send(response: DeltaResponse): void;
  /** Ends the stream: with the status of a `GrpcError`, with INTERNAL for anything else. */
  fail(error: unknown): void;
}

export interface DeltaHandler {
  /** What this throws ends the stream, as {@link DeltaCall.fail} does. */
  request(request: DeltaDiscoveryRequest): void;
  /** The stream is over. Called once. */
  closed(): void;
}

/** A node's initial versions may name all of a large mesh. */
const requestLimit = 4 * 1024 * 1024;

/** State-of-the-world ADS is not served: it is answered with UNIMPLEMENTED. */
export function discoveryService(serve: (call: DeltaCall) => DeltaHandler): Method {
  return {
    path: "/envoy.service.discovery.v3.AggregatedDiscoveryService/DeltaAggregatedResources",
    requestLimit,
    open(call) {
      const handler = serve({
        caller: call.caller,
        send: (response) =>
          call.send(toBinary(DeltaDiscoveryResponseSchema, create(DeltaDiscoveryResponseSchema, response))),
        fail: (error) => call.fail(error),
      });
      return {
        message: (bytes) => handler.request(fromBinary(DeltaDiscoveryRequestSchema, bytes)),
        end: () => call.end(),
        closed: () => handler.closed(),
      };
    },
  };
}
