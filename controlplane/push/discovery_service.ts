/** ADS, `envoy.service.discovery.v3.AggregatedDiscoveryService`: its two variants as methods of the gRPC server. */
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import type { Node } from "../../routing/xds/gen/envoy/config/core/v3/base_pb.ts";
import {
  type DeltaDiscoveryRequest,
  DeltaDiscoveryRequestSchema,
  DeltaDiscoveryResponseSchema,
  type DiscoveryRequest,
  DiscoveryRequestSchema,
  DiscoveryResponseSchema,
} from "../../routing/xds/gen/envoy/service/discovery/v3/discovery_pb.ts";
import type { Caller, Method } from "../grpc/grpc_call.ts";
import { resourceField, sharedResourcesField } from "./delta_resources.ts";
import { DeltaSubscription } from "./delta_subscription.ts";
import type { Push, PushRequest } from "./push_stream.ts";
import { typeUrls } from "./resource_types.ts";
import { StateSubscription } from "./state_subscription.ts";
import type { Subscribe } from "./subscription.ts";

/** One stream, for whoever serves it. */
export interface DiscoveryCall<Request extends PushRequest = PushRequest> {
  readonly caller: Caller;
  readonly subscribe: Subscribe<Request>;
  /** Queues a response. */
  send(push: Push): void;
  /** Ends the stream: with the status of a `GrpcError`, with INTERNAL for anything else. */
  fail(error: unknown): void;
}

export interface DiscoveryHandler<Request extends PushRequest> {
  /** What this throws ends the stream, as {@link DiscoveryCall.fail} does. */
  request(request: Request & { node?: Node }): void;
  /** The stream is over. Called once. */
  closed(): void;
}

export type ServeDiscovery = <Request extends PushRequest>(call: DiscoveryCall<Request>) => DiscoveryHandler<Request>;

interface Variant<Request extends PushRequest> {
  method: string;
  subscribe: Subscribe<Request>;
  read(bytes: Uint8Array): Request & { node?: Node };
  /** The response in pieces. Those of shared resources are the same bytes for all streams. */
  write(push: Push): Uint8Array[];
}

const service = "/envoy.service.discovery.v3.AggregatedDiscoveryService";
/** A node's initial versions may name all of a large mesh. */
const requestLimit = 4 * 1024 * 1024;

/** The methods that both lead to one handler. */
export function discoveryService(serve: ServeDiscovery): Method[] {
  const delta = method<DeltaDiscoveryRequest>(serve, {
    method: "DeltaAggregatedResources",
    subscribe: (type, first) => new DeltaSubscription(type, first),
    read: (bytes) => fromBinary(DeltaDiscoveryRequestSchema, bytes),
    write: ({ type, nonce, version, shared, resources, removed }) => [
      sharedResourcesField(shared),
      ...resources.map(resourceField),
      toBinary(
        DeltaDiscoveryResponseSchema,
        create(DeltaDiscoveryResponseSchema, {
          typeUrl: typeUrls[type],
          nonce,
          systemVersionInfo: version,
          removedResources: removed,
        }),
      ),
    ],
  });
  const state = method<DiscoveryRequest>(serve, {
    method: "StreamAggregatedResources",
    subscribe: (type, first) => new StateSubscription(type, first),
    read: (bytes) => fromBinary(DiscoveryRequestSchema, bytes),
    write: ({ type, nonce, version, resources }) => [
      toBinary(
        DiscoveryResponseSchema,
        create(DiscoveryResponseSchema, {
          typeUrl: typeUrls[type],
          nonce,
          versionInfo: version,
          resources: resources.map(({ typeUrl, bytes }) => ({ typeUrl, value: bytes })),
        }),
      ),
    ],
  });
  return [delta, state];
}

function method<Request extends PushRequest>(serve: ServeDiscovery, variant: Variant<Request>): Method {
  return {
    path: `${service}/${variant.method}`,
    requestLimit,
    open(call) {
      const handler = serve<Request>({
        caller: call.caller,
        subscribe: variant.subscribe,
        send: (push) => call.send(...variant.write(push)),
        fail: (error) => call.fail(error),
      });
      return {
        message: (bytes) => handler.request(variant.read(bytes)),
        end: () => call.end(),
        closed: () => handler.closed(),
      };
    },
  };
}
