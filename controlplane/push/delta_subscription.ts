/** What a client of delta ADS asks for, has been sent, has taken (xDS protocol, "Incremental xDS"). */
import type { EncodedResource } from "../../routing/xds/resources.ts";
import { Delivery, type SubscriptionStatus } from "./delivery.ts";
import type { AvailableResources } from "./proxy_resources.ts";
import { type ResourceType, wildcardTypes } from "./resource_types.ts";
import { checkNameLimit, type Difference, type Subscription, versionOf } from "./subscription.ts";

/** The part of a `DeltaDiscoveryRequest` that subscribes. */
export interface DeltaSubscriptionRequest {
  resourceNamesSubscribe: string[];
  resourceNamesUnsubscribe: string[];
  initialResourceVersions: Record<string, string>;
}

/** Stands for the version of a resource that the client knows does not exist. */
const absent = "";

export class DeltaSubscription implements Subscription<DeltaSubscriptionRequest> {
  readonly #type: ResourceType;
  readonly #names = new Set<string>();
  readonly #delivery = new Delivery();
  #wildcard = false;
  /** Versions of what the client has, or will have once it takes the outstanding response. */
  readonly #held = new Map<string, string>();
  /** What {@link #held} was before the response that was sent last. */
  #before: [string, string | undefined][] = [];

  constructor(type: ResourceType, first: DeltaSubscriptionRequest) {
    this.#type = type;
    for (const [name, version] of Object.entries(first.initialResourceVersions)) this.#held.set(name, version);
    const names = first.resourceNamesSubscribe;
    this.#wildcard = names.length === 0 && wildcardTypes.has(type);
    for (const name of names) this.#subscribe(name);
  }

  /** A name subscribed to once more is sent once more, whatever its version. */
  change(request: DeltaSubscriptionRequest): void {
    for (const name of request.resourceNamesSubscribe) {
      this.#held.delete(name);
      this.#subscribe(name);
    }
    for (const name of request.resourceNamesUnsubscribe) {
      if (name === "*") this.#wildcard = false;
      this.#names.delete(name);
      // Below a wildcard the client goes on having it, and is sent it anew as the protocol wants.
      this.#held.delete(name);
    }
  }

  get waiting(): boolean {
    return this.#delivery.waiting;
  }

  get rejected(): boolean {
    return this.#delivery.rejected !== null;
  }

  difference(available: AvailableResources, keepRemoved: boolean): Difference | null {
    const resources: EncodedResource[] = [];
    const removed: string[] = [];
    const wanted = new Map<string, string>();
    for (const name of this.#wanted(available)) {
      const resource = available.resource(this.#type, name);
      const version = resource?.version ?? absent;
      const held = this.#held.get(name);
      if (resource === undefined && keepRemoved && held !== undefined) {
        wanted.set(name, held);
        continue;
      }
      wanted.set(name, version);
      if (held === version) continue;
      if (resource === undefined) removed.push(name);
      else resources.push(resource);
    }
    for (const [name, version] of this.#held) {
      if (wanted.has(name) || version === absent) continue;
      if (keepRemoved) wanted.set(name, version);
      else removed.push(name);
    }
    if (this.#delivery.begun && resources.length === 0 && removed.length === 0) {
      this.#delivery.withdrawn();
      return null;
    }
    const version = versionOf([...wanted].filter(([, each]) => each !== absent));
    return this.#delivery.rejected === version ? null : { resources, removed, version };
  }

  sent({ resources, removed, version }: Difference, nonce: string, now: number): void {
    const before: [string, string | undefined][] = [];
    const hold = (name: string, held: string | undefined) => {
      before.push([name, this.#held.get(name)]);
      if (held === undefined) this.#held.delete(name);
      else this.#held.set(name, held);
    };
    for (const resource of resources) hold(resource.name, resource.version);
    for (const name of removed) hold(name, this.#names.has(name) ? absent : undefined);
    this.#before = before;
    this.#delivery.sent(nonce, version, now);
  }

  acknowledge(nonce: string, now: number): number | null {
    return this.#delivery.acknowledge(nonce, now);
  }

  reject(nonce: string, reason: string): boolean {
    if (!this.#delivery.reject(nonce, reason)) return false;
    for (const [name, version] of this.#before) {
      // A name that was unsubscribed meanwhile comes back as held, and is then removed: harmless.
      if (version === undefined) this.#held.delete(name);
      else this.#held.set(name, version);
    }
    return true;
  }

  status(): SubscriptionStatus {
    return this.#delivery.status();
  }

  resend(names: Iterable<string>): void {
    for (const name of names) this.#held.delete(name);
  }

  #subscribe(name: string): void {
    if (name === "*") this.#wildcard = true;
    else this.#names.add(name);
    checkNameLimit(this.#type, this.#names);
  }

  *#wanted(available: AvailableResources): Iterable<string> {
    yield* this.#names;
    if (!this.#wildcard) return;
    for (const name of available.names(this.#type)) {
      if (!this.#names.has(name)) yield name;
    }
  }
}
