/** A delta ADS client with mutual TLS, driven by a test. */
import { create, fromBinary, type Message, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import { anyUnpack } from "@bufbuild/protobuf/wkt";
import { NodeSchema } from "../../routing/xds/gen/envoy/config/core/v3/base_pb.ts";
import {
  DeltaDiscoveryRequestSchema,
  type DeltaDiscoveryResponse,
  DeltaDiscoveryResponseSchema,
} from "../../routing/xds/gen/envoy/service/discovery/v3/discovery_pb.ts";
import { nodeToMetadata, type WorkloadNode } from "../../routing/xds/node.ts";
import { xdsRegistry } from "../../routing/xds/registry.ts";
import { type ResourceType, resourceTypeOf, typeUrls } from "../push/resource_types.ts";
import { type CallStatus, GrpcTestStream } from "./grpc_test_stream.ts";

/** All in PEM. */
export interface ClientIdentity {
  chain: string;
  privateKey: string;
  trustBundle: string;
}

export interface AdsClientOptions {
  port: number;
  identity: ClientIdentity;
  node: WorkloadNode;
  /** Refuses a response; `null` takes it. */
  judge?: (type: ResourceType, response: DeltaDiscoveryResponse) => string | null;
  /** Leaves responses unanswered until {@link AdsTestClient.answer}. */
  slow?: boolean;
}

/** Keeps what it takes, as a proxy does, and subscribes to the routes and endpoints that it is told of by the test. */
export class AdsTestClient {
  readonly responses: { type: ResourceType; response: DeltaDiscoveryResponse }[] = [];
  readonly held = new Map<ResourceType, Map<string, { version: string; message: Message }>>();
  status: CallStatus | null = null;
  readonly #options: AdsClientOptions;
  readonly #call: GrpcTestStream;
  #named = false;
  #unanswered: { type: ResourceType; response: DeltaDiscoveryResponse }[] = [];

  constructor(options: AdsClientOptions) {
    this.#options = options;
    this.#call = new GrpcTestStream(
      options.port,
      options.identity,
      "/envoy.service.discovery.v3.AggregatedDiscoveryService/DeltaAggregatedResources",
      {
        message: (bytes) => this.#receive(fromBinary(DeltaDiscoveryResponseSchema, bytes)),
        ended: (status) => this.status = status,
      },
    );
  }

  send(request: MessageInitShape<typeof DeltaDiscoveryRequestSchema>): void {
    const message = create(DeltaDiscoveryRequestSchema, request);
    if (!this.#named) {
      message.node = create(NodeSchema, { id: "test", metadata: nodeToMetadata(this.#options.node) });
    }
    this.#named = true;
    this.#call.write(toBinary(DeltaDiscoveryRequestSchema, message));
  }

  subscribe(type: ResourceType, names: string[], initialResourceVersions: Record<string, string> = {}): void {
    this.send({ typeUrl: typeUrls[type], resourceNamesSubscribe: names, initialResourceVersions });
  }

  /** Asks for everything that a proxy of this mesh has. */
  subscribeAll(endpoints: string[] = [], versions: Partial<Record<ResourceType, Record<string, string>>> = {}): void {
    this.subscribe("CDS", ["*"], versions.CDS);
    if (endpoints.length > 0) this.subscribe("EDS", endpoints, versions.EDS);
    this.subscribe("LDS", ["*"], versions.LDS);
    this.subscribe("RDS", ["http_proxy"], versions.RDS);
  }

  /** Answers what a slow client has left unanswered. */
  answer(): void {
    const unanswered = this.#unanswered;
    this.#unanswered = [];
    for (const { type, response } of unanswered) this.#take(type, response);
  }

  message<Kind extends Message>(type: ResourceType, name: string): Kind | undefined {
    return this.held.get(type)?.get(name)?.message as Kind | undefined;
  }

  names(type: ResourceType): string[] {
    return [...this.held.get(type)?.keys() ?? []].sort();
  }

  versions(type: ResourceType): Record<string, string> {
    return Object.fromEntries([...this.held.get(type) ?? []].map(([name, { version }]) => [name, version]));
  }

  responsesOf(type: ResourceType): DeltaDiscoveryResponse[] {
    return this.responses.filter((entry) => entry.type === type).map(({ response }) => response);
  }

  /** Ends the connection, in whatever state it is. */
  close(): void {
    this.#call.close();
  }

  #receive(response: DeltaDiscoveryResponse): void {
    const type = resourceTypeOf(response.typeUrl)!;
    this.responses.push({ type, response });
    if (this.#options.slow) this.#unanswered.push({ type, response });
    else this.#take(type, response);
  }

  #take(type: ResourceType, response: DeltaDiscoveryResponse): void {
    const { typeUrl, nonce } = response;
    const reason = this.#options.judge?.(type, response) ?? null;
    if (reason !== null) {
      this.send({ typeUrl, responseNonce: nonce, errorDetail: { code: 3, message: reason } });
      return;
    }
    const held = this.held.get(type) ?? new Map();
    this.held.set(type, held);
    for (const { name, version, resource } of response.resources) {
      held.set(name, { version, message: anyUnpack(resource!, xdsRegistry)! });
    }
    for (const name of response.removedResources) held.delete(name);
    this.send({ typeUrl, responseNonce: nonce });
  }
}
