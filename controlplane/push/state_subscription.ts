/**
 * What a client of state-of-the-world ADS asks for, has been sent, has taken (xDS protocol, "The xDS transport
 * protocol").
 *
 * Each request names everything that the client wants of the type. Responses of listeners and clusters carry all of
 * them, and what is absent does not exist; those of other types carry what has changed.
 */
import type { EncodedResource } from "../../routing/xds/resources.ts";
import { Delivery, type SubscriptionStatus } from "./delivery.ts";
import type { AvailableResources } from "./proxy_resources.ts";
import { type ResourceType, wildcardTypes } from "./resource_types.ts";
import { checkNameLimit, type Difference, type Subscription, versionOf } from "./subscription.ts";

/** The part of a `DiscoveryRequest` that subscribes. */
export interface StateSubscriptionRequest {
  resourceNames: string[];
}

export class StateSubscription implements Subscription<StateSubscriptionRequest> {
  readonly #type: ResourceType;
  readonly #delivery = new Delivery();
  #names: ReadonlySet<string> = new Set();
  #wildcard = false;
  /** The client has named something: from then on a request without names wants nothing. */
  #named = false;
  /** The client has asked once more for what it was sent. */
  #again = false;
  /** What the client has, or will have once it takes the outstanding response. */
  #held = new Map<string, EncodedResource>();
  #before = this.#held;

  constructor(type: ResourceType, first: StateSubscriptionRequest) {
    this.#type = type;
    this.#subscribe(first.resourceNames);
  }

  /**
   * A request that answers nothing asks for everything once more: so does a proxy whose cluster has been replaced, and
   * which waits for endpoints that it was sent for the one before.
   */
  change(request: StateSubscriptionRequest, answered: boolean): void {
    this.#subscribe(request.resourceNames);
    if (!answered) this.#again = true;
    if (this.#wildcard) return;
    // What it no longer names it forgets.
    for (const name of this.#held.keys()) {
      if (!this.#names.has(name)) this.#held.delete(name);
    }
  }

  get waiting(): boolean {
    return this.#delivery.waiting;
  }

  get rejected(): boolean {
    return this.#delivery.rejected !== null;
  }

  difference(available: AvailableResources, keepRemoved: boolean): Difference | null {
    const wanted = this.#wanted(available);
    if (keepRemoved) {
      for (const [name, resource] of this.#held) if (!wanted.has(name)) wanted.set(name, resource);
    }
    const all = wildcardTypes.has(this.#type);
    const changed = [...wanted.values()].filter(({ name, version }) => this.#held.get(name)?.version !== version);
    const fewer = all && [...this.#held.keys()].some((name) => !wanted.has(name));
    // Nothing to say of listeners and clusters is said too, once: then the client knows that there are none.
    const first = all && !this.#delivery.begun;
    const again = this.#again && (all || wanted.size > 0);
    if (changed.length === 0 && !fewer && !first && !again) {
      this.#delivery.withdrawn();
      return null;
    }
    const version = versionOf([...wanted.values()].map((resource) => [resource.name, resource.version]));
    if (this.#delivery.rejected === version && !again) return null;
    return { shared: [], resources: all || again ? [...wanted.values()] : changed, removed: [], version };
  }

  sent({ resources, version }: Difference, nonce: string, now: number): void {
    this.#before = this.#held;
    this.#held = new Map(wildcardTypes.has(this.#type) ? [] : this.#held);
    for (const resource of resources) this.#held.set(resource.name, resource);
    this.#again = false;
    this.#delivery.sent(nonce, version, now);
  }

  acknowledge(nonce: string, now: number): number | null {
    return this.#delivery.acknowledge(nonce, now);
  }

  reject(nonce: string, reason: string): boolean {
    if (!this.#delivery.reject(nonce, reason)) return false;
    this.#held = this.#before;
    return true;
  }

  status(): SubscriptionStatus {
    return this.#delivery.status();
  }

  *held(): Iterable<[name: string, version: string]> {
    for (const { name, version } of this.#held.values()) yield [name, version];
  }

  resend(names: Iterable<string>): void {
    for (const name of names) this.#held.delete(name);
  }

  #subscribe(names: readonly string[]): void {
    if (names.length > 0) this.#named = true;
    this.#wildcard = names.includes("*") || (!this.#named && wildcardTypes.has(this.#type));
    this.#names = new Set(names.filter((name) => name !== "*"));
    checkNameLimit(this.#type, this.#names);
  }

  #wanted(available: AvailableResources): Map<string, EncodedResource> {
    const names = new Set(this.#names);
    if (this.#wildcard) {
      for (const name of available.shared(this.#type).names()) names.add(name);
      for (const name of available.own(this.#type).keys()) names.add(name);
    }
    const wanted = new Map<string, EncodedResource>();
    for (const name of names) {
      const resource = available.resource(this.#type, name);
      if (resource !== undefined) wanted.set(name, resource);
    }
    return wanted;
  }
}
