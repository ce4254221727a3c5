/** One proxy's delta ADS stream, apart from the transport: requests come in, responses go out. */
import type { MessageInitShape } from "@bufbuild/protobuf";
import type {
  DeltaDiscoveryRequest,
  DeltaDiscoveryResponseSchema,
} from "../../routing/xds/gen/envoy/service/discovery/v3/discovery_pb.ts";
import type { AvailableResources } from "./proxy_resources.ts";
import { healthTypeUrl, type ResourceType, resourceTypeOf, resourceTypes, typeUrls } from "./resource_types.ts";
import { type Difference, Subscription, type SubscriptionStatus } from "./subscription.ts";

export type DeltaResponse = MessageInitShape<typeof DeltaDiscoveryResponseSchema>;

export interface DeltaStreamOptions {
  /** What the proxy is to have now. */
  resources(): AvailableResources;
  /** Queues a response. At most one of each type waits for its answer, which bounds the queue. */
  send(response: DeltaResponse): void;
  onPush(type: ResourceType): void;
  /** @param delay milliseconds from the change to its acknowledgement */
  onAcknowledge(type: ResourceType, delay: number): void;
  onReject(type: ResourceType, reason: string): void;
  onHealth(healthy: boolean, reason: string): void;
  /** Milliseconds since the epoch. */
  now(): number;
}

/** Reasons come from the other side and end up in logs and answers. */
const reasonLimit = 4000;

export class DeltaStream {
  readonly #options: DeltaStreamOptions;
  readonly #subscriptions = new Map<ResourceType, Subscription>();
  #nonce = 0;

  constructor(options: DeltaStreamOptions) {
    this.#options = options;
  }

  request(request: DeltaDiscoveryRequest): void {
    const { typeUrl, errorDetail, responseNonce } = request;
    if (typeUrl === healthTypeUrl) {
      this.#options.onHealth(errorDetail === undefined, errorDetail?.message.slice(0, reasonLimit) ?? "");
      return;
    }
    const type = resourceTypeOf(typeUrl);
    // Types that this control plane does not serve: whoever asks gets no answer, as from istiod.
    if (type === undefined) return;
    const subscription = this.#subscriptions.get(type);
    if (subscription === undefined) {
      this.#subscriptions.set(type, new Subscription(type, request));
    } else {
      if (responseNonce !== "") this.#answer(type, subscription, request);
      subscription.change(request);
    }
    this.update();
  }

  /** Sends what the proxy lacks, as far as it has answered what it was sent before. */
  update(): void {
    const resources = this.#options.resources();
    // Make before break: clusters go once no route that the proxy has can point to them.
    const settled = (["LDS", "RDS"] as const).every((type) => {
      const subscription = this.#subscriptions.get(type);
      return subscription === undefined ||
        (!subscription.waiting && !subscription.rejected && subscription.difference(resources, false) === null);
    });
    for (const type of resourceTypes) {
      const subscription = this.#subscriptions.get(type);
      if (subscription === undefined || subscription.waiting) continue;
      const keepRemoved = !settled && (type === "CDS" || type === "EDS");
      const difference = subscription.difference(resources, keepRemoved);
      if (difference !== null) this.#send(type, subscription, difference);
    }
  }

  status(): Record<ResourceType, SubscriptionStatus> {
    const none: SubscriptionStatus = { status: "NOT SENT", acknowledged: "", sent: "" };
    const of = (type: ResourceType) => this.#subscriptions.get(type)?.status() ?? none;
    return { CDS: of("CDS"), EDS: of("EDS"), LDS: of("LDS"), RDS: of("RDS") };
  }

  #answer(type: ResourceType, subscription: Subscription, request: DeltaDiscoveryRequest): void {
    const { errorDetail, responseNonce } = request;
    if (errorDetail === undefined) {
      const delay = subscription.acknowledge(responseNonce, this.#options.now());
      if (delay !== null) this.#options.onAcknowledge(type, delay);
      return;
    }
    const reason = errorDetail.message.slice(0, reasonLimit);
    if (subscription.reject(responseNonce, reason)) this.#options.onReject(type, reason);
  }

  #send(type: ResourceType, subscription: Subscription, difference: Difference): void {
    const nonce = String(++this.#nonce);
    subscription.sent(difference, nonce, this.#options.now());
    this.#options.onPush(type);
    this.#options.send({
      typeUrl: typeUrls[type],
      nonce,
      systemVersionInfo: difference.version,
      resources: difference.resources.map(({ name, version, typeUrl, bytes }) => ({
        name,
        version,
        resource: { typeUrl, value: bytes },
      })),
      removedResources: difference.removed,
    });
  }
}
