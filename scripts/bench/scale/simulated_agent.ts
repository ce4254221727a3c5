/** One simulated agent: takes its configuration over the real wire and keeps of it no more than names and versions. */
import { create, fromBinary, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import type { ClientIdentity } from "../../../controlplane/testing/ads_client.ts";
import { GrpcTestStream } from "../../../controlplane/testing/grpc_test_stream.ts";
import { NodeSchema } from "../../../routing/xds/gen/envoy/config/core/v3/base_pb.ts";
import {
  DeltaDiscoveryRequestSchema,
  type DeltaDiscoveryResponse,
  DeltaDiscoveryResponseSchema,
} from "../../../routing/xds/gen/envoy/service/discovery/v3/discovery_pb.ts";
import { nodeToMetadata, type WorkloadNode } from "../../../routing/xds/node.ts";
import { TYPE_URL } from "../../../routing/xds/resources.ts";

const method = "/envoy.service.discovery.v3.AggregatedDiscoveryService/DeltaAggregatedResources";
const subscribed = [TYPE_URL.cluster, TYPE_URL.endpoint, TYPE_URL.listener, TYPE_URL.route];

/** One string for equal ones: a child process holds the names of hundreds of agents. */
const strings = new Map<string, string>();

function interned(text: string): string {
  const known = strings.get(text);
  if (known === undefined) strings.set(text, text);
  return known ?? text;
}

export interface AgentEvents {
  /** Everything that was asked for is there. Called once for each connection. */
  configured(): void;
  /** Endpoints have come after that. */
  endpoints(names: string[]): void;
  /** The stream has ended though nobody here ended it; another is opened after a moment, as agents do. */
  ended(reason: string): void;
}

/** Milliseconds until a new try: agents' first wait, and as much again at random. */
const retryAfter = 1_000;

export class SimulatedAgent {
  readonly #node: WorkloadNode;
  readonly #identity: ClientIdentity;
  readonly #events: AgentEvents;
  readonly #held = new Map<string, Map<string, string>>();
  #call: GrpcTestStream | null = null;
  #wanted = new Set<string>();
  #answered = new Set<string>();
  #configured = false;
  #closing = false;

  constructor(node: WorkloadNode, identity: ClientIdentity, events: AgentEvents) {
    this.#node = node;
    this.#identity = identity;
    this.#events = events;
  }

  /** Connects, and says what it holds from before. */
  connect(port: number): void {
    this.#configured = false;
    this.#closing = false;
    this.#call?.close();
    this.#answered.clear();
    this.#wanted = new Set(this.#held.get(TYPE_URL.endpoint)?.keys());
    this.#call = new GrpcTestStream(port, this.#identity, method, {
      message: (bytes) => this.#take(fromBinary(DeltaDiscoveryResponseSchema, bytes)),
      ended: ({ details }) => {
        if (this.#closing) return;
        this.#events.ended(details);
        setTimeout(() => this.#closing || this.connect(port), retryAfter * (1 + Math.random()));
      },
    });
    const node = create(NodeSchema, { id: "simulated", metadata: nodeToMetadata(this.#node) });
    this.#subscribe(TYPE_URL.cluster, ["*"], node);
    if (this.#wanted.size > 0) this.#subscribe(TYPE_URL.endpoint, [...this.#wanted]);
    this.#subscribe(TYPE_URL.listener, ["*"]);
    this.#subscribe(TYPE_URL.route, ["http_proxy"]);
  }

  close(): void {
    this.#closing = true;
    this.#call?.close();
  }

  #subscribe(typeUrl: string, names: string[], node?: MessageInitShape<typeof NodeSchema>): void {
    const initialResourceVersions = Object.fromEntries(this.#held.get(typeUrl) ?? []);
    this.#send({ typeUrl, resourceNamesSubscribe: names, initialResourceVersions, node });
  }

  #send(request: MessageInitShape<typeof DeltaDiscoveryRequestSchema>): void {
    this.#call!.write(toBinary(DeltaDiscoveryRequestSchema, create(DeltaDiscoveryRequestSchema, request)));
  }

  #take({ typeUrl, nonce, resources, removedResources }: DeltaDiscoveryResponse): void {
    let held = this.#held.get(typeUrl);
    if (held === undefined) this.#held.set(typeUrl, held = new Map());
    for (const { name, version } of resources) held.set(interned(name), interned(version));
    for (const name of removedResources) held.delete(name);
    this.#send({ typeUrl, responseNonce: nonce });
    if (typeUrl === TYPE_URL.cluster) {
      const added = resources.map(({ name }) => interned(name)).filter((name) =>
        name.startsWith("outbound|") && !this.#wanted.has(name)
      );
      for (const name of added) this.#wanted.add(name);
      if (added.length > 0) this.#send({ typeUrl: TYPE_URL.endpoint, resourceNamesSubscribe: added });
    }
    if (this.#configured) {
      if (typeUrl === TYPE_URL.endpoint) this.#events.endpoints(resources.map(({ name }) => name));
      return;
    }
    this.#answered.add(typeUrl);
    this.#configured = subscribed.every((type) => this.#answered.has(type)) &&
      [...this.#wanted].every((name) => this.#held.get(TYPE_URL.endpoint)?.has(name));
    if (this.#configured) this.#events.configured();
  }
}
