/** One proxy's ADS stream, apart from the transport and from the protocol's variant: what to send, and when. */
import { healthTypeUrl, type ResourceType, resourceTypeOf, resourceTypes } from "./resource_types.ts";
import type { SubscriptionStatus } from "./delivery.ts";
import type { EncodedResource } from "../../routing/xds/resources.ts";
import type { AvailableResources } from "./proxy_resources.ts";
import type { Difference, Subscribe, Subscription } from "./subscription.ts";

/** What requests of both variants have in common. */
export interface PushRequest {
  typeUrl: string;
  responseNonce: string;
  errorDetail?: { message: string };
}

/** A response, before it is written in the variant's message. */
export interface Push extends Difference {
  type: ResourceType;
  nonce: string;
}

export interface PushStreamOptions<Request extends PushRequest> {
  subscribe: Subscribe<Request>;
  /** What the proxy is to have now; `null`: that will be known soon, when {@link PushStream.update} is called. */
  resources(): AvailableResources | null;
  /** Queues a response. At most one of each type waits for its answer, which bounds the queue. */
  send(push: Push): void;
  onPush(type: ResourceType): void;
  /** @param delay milliseconds from the change to its acknowledgement */
  onAcknowledge(type: ResourceType, delay: number): void;
  onReject(type: ResourceType, reason: string): void;
  onHealth(healthy: boolean, reason: string): void;
  /** Milliseconds since the epoch. */
  now(): number;
}

/** A resource that a proxy has, or will have once it takes what is on its way. */
export interface HeldResource {
  type: ResourceType;
  name: string;
  version: string;
  /** Absent where the mesh has another version by now. */
  resource?: EncodedResource;
}

/** Reasons come from the other side and end up in logs and answers. */
const reasonLimit = 4000;

export class PushStream<Request extends PushRequest> {
  readonly #options: PushStreamOptions<Request>;
  readonly #subscriptions = new Map<ResourceType, Subscription<Request>>();
  #nonce = 0;

  constructor(options: PushStreamOptions<Request>) {
    this.#options = options;
  }

  request(request: Request): void {
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
      this.#subscriptions.set(type, this.#options.subscribe(type, request));
    } else {
      const answered = responseNonce !== "" && this.#answer(type, subscription, request);
      subscription.change(request, answered);
    }
    this.update();
  }

  /** Sends what the proxy lacks, as far as it has answered what it was sent before. */
  update(): void {
    const resources = this.#options.resources();
    if (resources === null) return;
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
    return { CDS: of("CDS"), EDS: of("EDS"), LDS: of("LDS"), RDS: of("RDS"), SDS: of("SDS") };
  }

  /** What the proxy has, by type and name. */
  held(): HeldResource[] {
    const resources = this.#options.resources();
    return [...this.#subscriptions].flatMap(([type, subscription]) =>
      [...subscription.held()].map(([name, version]) => {
        const resource = resources?.resource(type, name);
        return { type, name, version, ...(resource?.version === version ? { resource } : {}) };
      })
    );
  }

  /** @returns whether the request answered what was sent last */
  #answer(type: ResourceType, subscription: Subscription<Request>, request: Request): boolean {
    const { errorDetail, responseNonce } = request;
    if (errorDetail === undefined) {
      const delay = subscription.acknowledge(responseNonce, this.#options.now());
      if (delay !== null) this.#options.onAcknowledge(type, delay);
      return delay !== null;
    }
    const reason = errorDetail.message.slice(0, reasonLimit);
    const answered = subscription.reject(responseNonce, reason);
    if (answered) this.#options.onReject(type, reason);
    return answered;
  }

  #send(type: ResourceType, subscription: Subscription<Request>, difference: Difference): void {
    const nonce = String(++this.#nonce);
    subscription.sent(difference, nonce, this.#options.now());
    // A cluster that is replaced waits for its endpoints ("Resource warming"), and Envoy does not ask again for those
    // that it has; nor does it answer until they are there.
    if (type === "CDS") {
      const { shared, resources } = difference;
      this.#subscriptions.get("EDS")?.resend([...shared, ...resources].map(({ name }) => name));
    }
    this.#options.onPush(type);
    this.#options.send({ type, nonce, ...difference });
  }
}
