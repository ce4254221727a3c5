/**
 * What a client of delta ADS asks for, has been sent, has taken (xDS protocol, "Incremental xDS").
 *
 * Most clients of a mesh ask for the same and have the same. What one has is therefore told as a set that all share, and
 * what of it does not hold for this one; what it lacks follows from the difference of two sets, which is computed once.
 */
import type { EncodedResource } from "../../routing/xds/resources.ts";
import { Delivery, type SubscriptionStatus } from "./delivery.ts";
import { NameSet } from "./name_set.ts";
import type { AvailableResources } from "./proxy_resources.ts";
import { ResourceSet, SetHash } from "./resource_set.ts";
import { type ResourceType, wildcardTypes } from "./resource_types.ts";
import { checkNameLimit, type Difference, type Subscription } from "./subscription.ts";

/** The part of a `DeltaDiscoveryRequest` that subscribes. */
export interface DeltaSubscriptionRequest {
  resourceNamesSubscribe: string[];
  resourceNamesUnsubscribe: string[];
  initialResourceVersions: Record<string, string>;
}

/** Stands for the version of a resource that the client knows does not exist. */
const absent = "";
const none: readonly string[] = [];

/** Versions of what the client has, or will have once it takes the outstanding response. */
interface Held {
  readonly set: ResourceSet;
  /** Where it differs from the set; `null`: nothing is known of this name. */
  readonly but: ReadonlyMap<string, string | null>;
}

const nothing: Held = { set: ResourceSet.empty, but: new Map() };

export class DeltaSubscription implements Subscription<DeltaSubscriptionRequest> {
  readonly #type: ResourceType;
  readonly #delivery = new Delivery();
  #names = NameSet.empty;
  #wildcard = false;
  #held = nothing;
  /** What {@link #held} was before the response that waits for its answer. */
  #before = nothing;
  /** What {@link #held} becomes when the difference that was computed last is sent. */
  #next = nothing;

  constructor(type: ResourceType, first: DeltaSubscriptionRequest) {
    this.#type = type;
    const versions = Object.entries(first.initialResourceVersions);
    if (versions.length > 0) this.#held = { set: ResourceSet.empty, but: new Map(versions) };
    this.#wildcard = first.resourceNamesSubscribe.length === 0 && wildcardTypes.has(type);
    this.#subscribe(first.resourceNamesSubscribe, none);
  }

  /** A name subscribed to once more is sent once more, whatever its version. */
  change({ resourceNamesSubscribe: added, resourceNamesUnsubscribe: removed }: DeltaSubscriptionRequest): void {
    if (added.length === 0 && removed.length === 0) return;
    // Below a wildcard the client goes on having what it unsubscribes from, and is sent it anew as the protocol wants.
    this.#forget([...added, ...removed]);
    this.#subscribe(added, removed);
  }

  get waiting(): boolean {
    return this.#delivery.waiting;
  }

  get rejected(): boolean {
    return this.#delivery.rejected !== null;
  }

  difference(available: AvailableResources, keepRemoved: boolean): Difference | null {
    const all = available.shared(this.#type);
    const { set: target, missing } = this.#wildcard ? { set: all, missing: none } : all.restrictedTo(this.#names);
    const { changed, removed: gone } = this.#held.set.differenceTo(target);
    const own = available.own(this.#type);
    // With nothing to say of single names, what has changed for all has changed for this one.
    const asAll = this.#held.but.size === 0 && own.size === 0 && missing.length === 0 && !this.#wildcardNames &&
      !(keepRemoved && gone.length > 0);
    if (asAll) {
      this.#next = { set: target, but: nothing.but };
      return this.#result(changed, [], [...gone], target.hash.toString());
    }
    const single = new Set([...this.#held.but.keys(), ...own.keys(), ...missing, ...gone]);
    if (this.#wildcardNames) { for (const name of this.#names) single.add(name); }
    const exceptions = changed.filter(({ name }) => single.has(name));
    const shared = exceptions.length === 0 ? changed : none as readonly never[];
    if (exceptions.length > 0) { for (const { name } of changed) single.add(name); }
    const resources: EncodedResource[] = [];
    const removed: string[] = [];
    const but = new Map<string, string | null>();
    const hash = new SetHash(target.hash);
    for (const name of single) {
      const held = versionIn(this.#held, name);
      const resource = this.#wants(name, own, all) ? available.resource(this.#type, name) : undefined;
      let next = resource === undefined ? this.#names.has(name) ? absent : null : resource.version;
      if (resource !== undefined) {
        if (held !== resource.version) resources.push(resource);
      } else if (held !== null && held !== absent) {
        if (keepRemoved) next = held;
        else removed.push(name);
      } else if (held === null && next === absent) removed.push(name);
      const general = target.get(name)?.version ?? null;
      if (next === general) continue;
      but.set(name, next);
      if (general !== null) hash.remove(name, general);
      if (next !== null && next !== absent) hash.add(name, next);
    }
    this.#next = { set: target, but };
    return this.#result(shared, resources, removed, hash.toString());
  }

  sent({ version }: Difference, nonce: string, now: number): void {
    this.#before = this.#held;
    this.#held = this.#next;
    this.#delivery.sent(nonce, version, now);
  }

  acknowledge(nonce: string, now: number): number | null {
    const delay = this.#delivery.acknowledge(nonce, now);
    // Old sets are not to be held for nothing.
    if (delay !== null) this.#before = nothing;
    return delay;
  }

  reject(nonce: string, reason: string): boolean {
    if (!this.#delivery.reject(nonce, reason)) return false;
    this.#held = this.#before;
    this.#before = nothing;
    return true;
  }

  status(): SubscriptionStatus {
    return this.#delivery.status();
  }

  *held(): Iterable<[name: string, version: string]> {
    const { set, but } = this.#held;
    for (const name of new Set([...set.names(), ...but.keys()])) {
      const version = versionIn(this.#held, name);
      if (version !== null && version !== absent) yield [name, version];
    }
  }

  resend(names: Iterable<string>): void {
    this.#forget(names);
  }

  #result(
    shared: readonly EncodedResource[],
    resources: EncodedResource[],
    removed: string[],
    version: string,
  ): Difference | null {
    if (this.#delivery.begun && shared.length === 0 && resources.length === 0 && removed.length === 0) {
      this.#delivery.withdrawn();
      // It says the same by the newest set, so that the old one can go.
      this.#held = this.#next;
      return null;
    }
    return this.#delivery.rejected === version ? null : { shared, resources, removed, version };
  }

  /** Beside a wildcard names say something of their own only where they do not exist. */
  get #wildcardNames(): boolean {
    return this.#wildcard && this.#names.size > 0;
  }

  #wants(name: string, own: ReadonlyMap<string, unknown>, all: ResourceSet): boolean {
    return this.#names.has(name) || (this.#wildcard && (all.get(name) !== undefined || own.has(name)));
  }

  #forget(names: Iterable<string>): void {
    const list = [...names];
    this.#held = without(this.#held, list);
    // Nor does a refusal of what is on its way bring them back.
    if (this.waiting) this.#before = without(this.#before, list);
  }

  #subscribe(added: readonly string[], removed: readonly string[]): void {
    if (added.includes("*")) this.#wildcard = true;
    if (removed.includes("*")) this.#wildcard = false;
    this.#names = this.#names.changed(added.filter((name) => name !== "*"), removed);
    checkNameLimit(this.#type, this.#names);
  }
}

function versionIn({ set, but }: Held, name: string): string | null {
  const known = but.get(name);
  return known === undefined ? set.get(name)?.version ?? null : known;
}

function without(held: Held, names: string[]): Held {
  const known = names.filter((name) => versionIn(held, name) !== null);
  if (known.length === 0) return held;
  return { set: held.set, but: new Map([...held.but, ...known.map((name) => [name, null] as const)]) };
}
