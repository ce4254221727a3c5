/** Keeps one workload's delta ADS stream open for as long as the agent runs (xDS protocol, "Incremental xDS"). */
import type { MessageInitShape } from "@bufbuild/protobuf";
import { logger } from "../../log/log.ts";
import type { NodeSchema } from "../../routing/xds/gen/envoy/config/core/v3/base_pb.ts";
import type { DeltaDiscoveryResponse } from "../../routing/xds/gen/envoy/service/discovery/v3/discovery_pb.ts";
import { AdsStream, type LivenessOptions, type TlsIdentity } from "./ads_stream.ts";
import { type BackOff, reconnectBackOff } from "./back_off.ts";
import { reasonOf } from "./reason.ts";
import { healthType, isResourceType, type ResourceType, resourceTypes } from "./type_urls.ts";

const log = logger("discovery");

/** A stream that lived this long, or brought anything, was a success: the next try comes at once. */
const successAfter = 10_000;
const defaultLiveness: LivenessOptions = { interval: 15_000, timeout: 10_000 };
/** google.rpc.Code of a refused response (xDS protocol) and of an unhealthy workload. */
const INVALID_ARGUMENT = 3;
const UNAVAILABLE = 14;
/** Error details end up in logs and on dashboards of the other side. */
const detailLimit = 4000;

/** One response, as far as resources go. */
export interface ResourceUpdate {
  type: ResourceType;
  resources: { name: string; version: string; value: Uint8Array }[];
  removed: string[];
}

/** What the client asks of the configuration it feeds. */
export interface Configuration {
  /** Takes over updates, in order, as one change. Answers for each `null`, or which of its resources are refused and why. */
  update(updates: ResourceUpdate[]): Promise<(string | null)[]>;
  /** Names to be subscribed to now; `*`: all. */
  wanted(type: ResourceType): ReadonlySet<string>;
  /** Versions by name of what is held, so that a new stream sends only what differs. */
  versions(type: ResourceType): Record<string, string>;
}

export interface AdsClientOptions {
  /** Named in log lines. */
  workload: string;
  /** Control planes (`host:port`); the next one is tried after a failure. Read at every try. */
  addresses(): string[];
  /** Read at every try, so that a new stream uses the newest certificate. */
  identity(): TlsIdentity;
  /** Read at every try. */
  node(): MessageInitShape<typeof NodeSchema>;
  configuration: Configuration;
  liveness?: LivenessOptions;
  backOff?: BackOff;
}

export class AdsClient {
  readonly #options: AdsClientOptions;
  readonly #backOff: BackOff;
  #stream: AdsStream | null = null;
  #running: Promise<void> | null = null;
  #stopping = false;
  #wake: (() => void) | null = null;
  #attempt = 0;
  #connected = false;
  #health: { healthy: boolean; message: string } | null = null;
  /** Names subscribed to on the current stream. */
  #subscribed = new Map<ResourceType, Set<string>>();
  #inbox: DeltaDiscoveryResponse[] = [];
  #working: Promise<void> | null = null;

  constructor(options: AdsClientOptions) {
    this.#options = options;
    this.#backOff = options.backOff ?? reconnectBackOff();
  }

  /** True while the control plane talks to us. */
  get connected(): boolean {
    return this.#connected;
  }

  start(): void {
    this.#running ??= this.#keepOpen();
  }

  async stop(): Promise<void> {
    this.#stopping = true;
    this.#stream?.close("the agent stops");
    this.#wake?.();
    await this.#running;
    await this.#working;
  }

  /** Opens a new stream, for a node whose description has changed. */
  restart(): void {
    this.#stream?.close("the workload has changed");
  }

  /** Tells the control plane whether the workload may get traffic; told again on every new stream. */
  reportHealth(healthy: boolean, message: string): void {
    this.#health = { healthy, message };
    if (this.#stream !== null) this.#sendHealth(this.#stream);
  }

  async #keepOpen(): Promise<void> {
    while (!this.#stopping) {
      const begun = performance.now();
      const addresses = this.#options.addresses();
      const address = addresses[this.#attempt++ % addresses.length];
      let reason = "the control plane has closed the stream";
      let heard = false;
      try {
        const stream = new AdsStream(address, this.#options.identity());
        this.#open(stream);
        await stream.run((response) => {
          if (!this.#connected) log.info("connected", { workload: this.#options.workload, controlPlane: address });
          this.#connected = heard = true;
          this.#receive(stream, response);
        }, this.#options.liveness ?? defaultLiveness);
      } catch (error) {
        reason = reasonOf(error);
      }
      this.#stream = null;
      this.#connected = false;
      this.#inbox = [];
      await this.#working;
      if (this.#stopping) break;
      if (heard || performance.now() - begun > successAfter) this.#backOff.reset();
      const delay = this.#backOff.next();
      log.warn("no stream to the control plane; trying again", {
        workload: this.#options.workload,
        controlPlane: address,
        reason,
        inMs: Math.round(delay),
      });
      await this.#sleep(delay);
    }
  }

  #open(stream: AdsStream): void {
    this.#stream = stream;
    this.#subscribed = new Map();
    let node: MessageInitShape<typeof NodeSchema> | undefined = this.#options.node();
    for (const type of resourceTypes) {
      const wanted = this.#options.configuration.wanted(type);
      if (wanted.size === 0) continue;
      this.#subscribed.set(type, new Set(wanted));
      stream.send({
        node,
        typeUrl: type,
        resourceNamesSubscribe: [...wanted],
        initialResourceVersions: this.#options.configuration.versions(type),
      });
      // Only a stream's first request names the node.
      node = undefined;
    }
    this.#sendHealth(stream);
  }

  #sendHealth(stream: AdsStream): void {
    if (this.#health === null) return;
    const { healthy, message } = this.#health;
    stream.send({
      typeUrl: healthType,
      errorDetail: healthy ? undefined : { code: UNAVAILABLE, message: message.slice(0, detailLimit) },
    });
  }

  #receive(stream: AdsStream, response: DeltaDiscoveryResponse): void {
    this.#inbox.push(response);
    this.#working ??= this.#work(stream);
  }

  /** Takes all responses that have come meanwhile as one change. */
  async #work(stream: AdsStream): Promise<void> {
    // Responses that arrived in one chunk are all in the inbox once this function's caller is done.
    await Promise.resolve();
    while (this.#inbox.length > 0 && this.#stream === stream) await this.#takeInbox(stream);
    // Not a step later: a response that arrives now must find nobody at work.
    this.#working = null;
  }

  async #takeInbox(stream: AdsStream): Promise<void> {
    const responses = this.#inbox;
    this.#inbox = [];
    const known = responses.filter((response) => isResourceType(response.typeUrl));
    const verdicts = await this.#judge(known);
    if (this.#stream !== stream) return;
    for (const response of responses) {
      const reason = isResourceType(response.typeUrl)
        ? verdicts[known.indexOf(response)]
        : `type ${response.typeUrl} was not asked for`;
      this.#answer(stream, response, reason);
    }
    this.#subscribe(stream);
  }

  async #judge(responses: DeltaDiscoveryResponse[]): Promise<(string | null)[]> {
    try {
      return await this.#options.configuration.update(responses.map((response) => ({
        type: response.typeUrl as ResourceType,
        resources: response.resources.map(({ name, version, resource }) => ({
          name,
          version,
          value: resource?.value ?? new Uint8Array(0),
        })),
        removed: response.removedResources,
      })));
    } catch (error) {
      log.error("configuration could not be taken over", {
        workload: this.#options.workload,
        reason: error instanceof Error ? error.stack : String(error),
      });
      return responses.map(() => `the agent failed: ${reasonOf(error)}`);
    }
  }

  #answer(stream: AdsStream, response: DeltaDiscoveryResponse, reason: string | null): void {
    if (reason !== null) {
      log.warn("configuration refused; what was good before stays", {
        workload: this.#options.workload,
        type: response.typeUrl,
        version: response.systemVersionInfo,
        reason,
      });
    }
    stream.send({
      typeUrl: response.typeUrl,
      responseNonce: response.nonce,
      errorDetail: reason === null ? undefined : { code: INVALID_ARGUMENT, message: reason.slice(0, detailLimit) },
    });
  }

  /** Follows the names that the configuration refers to. */
  #subscribe(stream: AdsStream): void {
    for (const type of resourceTypes) {
      const wanted = this.#options.configuration.wanted(type);
      const subscribed = this.#subscribed.get(type) ?? new Set();
      const added = [...wanted].filter((name) => !subscribed.has(name));
      const dropped = [...subscribed].filter((name) => !wanted.has(name));
      if (added.length === 0 && dropped.length === 0) continue;
      this.#subscribed.set(type, new Set(wanted));
      stream.send({ typeUrl: type, resourceNamesSubscribe: added, resourceNamesUnsubscribe: dropped });
    }
  }

  async #sleep(milliseconds: number): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    const timer = setTimeout(resolve, milliseconds);
    this.#wake = resolve;
    await promise;
    clearTimeout(timer);
    this.#wake = null;
  }
}
