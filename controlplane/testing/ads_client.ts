/** A delta ADS client on @grpc/grpc-js with mutual TLS, driven by a test. */
import { Buffer } from "node:buffer";
import { create, fromBinary, type Message, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import { anyUnpack } from "@bufbuild/protobuf/wkt";
import { Client, type ClientDuplexStream, credentials, type StatusObject } from "@grpc/grpc-js";
import { NodeSchema } from "../../routing/xds/gen/envoy/config/core/v3/base_pb.ts";
import {
  type DeltaDiscoveryRequest,
  DeltaDiscoveryRequestSchema,
  type DeltaDiscoveryResponse,
  DeltaDiscoveryResponseSchema,
} from "../../routing/xds/gen/envoy/service/discovery/v3/discovery_pb.ts";
import { nodeToMetadata, type WorkloadNode } from "../../routing/xds/node.ts";
import { xdsRegistry } from "../../routing/xds/registry.ts";
import { type ResourceType, resourceTypeOf, typeUrls } from "../push/resource_types.ts";

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
  status: StatusObject | null = null;
  readonly #options: AdsClientOptions;
  readonly #client: Client;
  readonly #call: ClientDuplexStream<DeltaDiscoveryRequest, DeltaDiscoveryResponse>;
  #named = false;
  #unanswered: { type: ResourceType; response: DeltaDiscoveryResponse }[] = [];

  constructor(options: AdsClientOptions) {
    this.#options = options;
    const { chain, privateKey, trustBundle } = options.identity;
    this.#client = new Client(
      `127.0.0.1:${options.port}`,
      credentials.createSsl(Buffer.from(trustBundle), Buffer.from(privateKey), Buffer.from(chain)),
      // The runtime takes no address as a server name.
      { "grpc.ssl_target_name_override": "localhost" },
    );
    this.#call = this.#client.makeBidiStreamRequest(
      "/envoy.service.discovery.v3.AggregatedDiscoveryService/DeltaAggregatedResources",
      (request: DeltaDiscoveryRequest) => Buffer.from(toBinary(DeltaDiscoveryRequestSchema, request)),
      (bytes: Buffer) => fromBinary(DeltaDiscoveryResponseSchema, bytes),
    );
    this.#call.on("data", (response: DeltaDiscoveryResponse) => this.#receive(response));
    this.#call.on("status", (status: StatusObject) => this.status = status);
    this.#call.on("error", () => {});
  }

  send(request: MessageInitShape<typeof DeltaDiscoveryRequestSchema>): void {
    const message = create(DeltaDiscoveryRequestSchema, request);
    if (!this.#named) {
      message.node = create(NodeSchema, { id: "test", metadata: nodeToMetadata(this.#options.node) });
    }
    this.#named = true;
    this.#call.write(message);
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
    this.#call.cancel();
    this.#client.close();
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
