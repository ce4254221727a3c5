/**
 * One type of resources on one delta ADS stream: what the client asks for, has been sent, has taken (xDS protocol,
 * "Incremental xDS").
 *
 * At most one response waits for its answer. What changes meanwhile goes into the next one, so that a slow client
 * costs no queue and always gets the newest state.
 */
import type { EncodedResource } from "../../routing/xds/resources.ts";
import { contentHash } from "../../routing/xds/content_hash.ts";
import type { AvailableResources } from "./proxy_resources.ts";
import { type ResourceType, wildcardTypes } from "./resource_types.ts";

/** The part of a `DeltaDiscoveryRequest` that subscribes. */
export interface SubscriptionRequest {
  resourceNamesSubscribe: string[];
  resourceNamesUnsubscribe: string[];
  initialResourceVersions: Record<string, string>;
}

/** What to send next. */
export interface Difference {
  resources: EncodedResource[];
  removed: string[];
  /** Version of everything that the client will then have of the type. */
  version: string;
}

export interface SubscriptionStatus {
  status: "SYNCED" | "STALE" | "NACK" | "NOT SENT";
  /** Version of what the client has taken; empty: nothing yet. */
  acknowledged: string;
  sent: string;
  reason?: string;
  /** RFC 3339. */
  staleSince?: string;
}

/** The client asks for more than this control plane keeps for it. */
export class SubscriptionError extends Error {
  override name = "SubscriptionError";
}

const nameLimit = 100_000;
/** Stands for the version of a resource that the client knows does not exist. */
const absent = "";
const encoder = new TextEncoder();

export class Subscription {
  readonly #type: ResourceType;
  readonly #names = new Set<string>();
  #wildcard = false;
  /** Versions of what the client has, or will have once it takes the outstanding response. */
  readonly #held = new Map<string, string>();
  /** The response without answer, with what {@link #held} was before it. */
  #outstanding: { nonce: string; version: string; before: [string, string | undefined][] } | null = null;
  #answered = false;
  #acknowledged = "";
  #sent = "";
  #rejected: { version: string; reason: string } | null = null;
  #staleSince: number | null = null;

  constructor(type: ResourceType, first: SubscriptionRequest) {
    this.#type = type;
    for (const [name, version] of Object.entries(first.initialResourceVersions)) this.#held.set(name, version);
    const names = first.resourceNamesSubscribe;
    this.#wildcard = names.length === 0 && wildcardTypes.has(type);
    for (const name of names) this.#subscribe(name);
  }

  /** Takes a later request's names. A name subscribed to once more is sent once more, whatever its version. */
  change(request: SubscriptionRequest): void {
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
    return this.#outstanding !== null;
  }

  /** Whether the client refused what it was sent last. */
  get rejected(): boolean {
    return this.#rejected !== null;
  }

  /**
   * What the client lacks; `null`: nothing, or it has refused exactly this.
   *
   * @param keepRemoved whether resources that no longer exist stay with the client for now
   */
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
    if (this.#answered && resources.length === 0 && removed.length === 0) {
      // The change that it refused has been taken back.
      if (this.#rejected !== null) this.#staleSince = this.#rejected = null;
      return null;
    }
    const version = versionOf(wanted);
    return this.#rejected?.version === version ? null : { resources, removed, version };
  }

  /** The difference is on its way. */
  sent({ resources, removed, version }: Difference, nonce: string, now: number): void {
    const before: [string, string | undefined][] = [];
    const hold = (name: string, held: string | undefined) => {
      before.push([name, this.#held.get(name)]);
      if (held === undefined) this.#held.delete(name);
      else this.#held.set(name, held);
    };
    for (const resource of resources) hold(resource.name, resource.version);
    for (const name of removed) hold(name, this.#names.has(name) ? absent : undefined);
    this.#outstanding = { nonce, version, before };
    this.#answered = true;
    this.#sent = version;
    this.#staleSince ??= now;
  }

  /** @returns milliseconds since the client lacked something; `null` for an answer that is not to what was sent last */
  acknowledge(nonce: string, now: number): number | null {
    if (this.#outstanding?.nonce !== nonce) return null;
    this.#acknowledged = this.#outstanding.version;
    this.#outstanding = null;
    this.#rejected = null;
    const since = this.#staleSince ?? now;
    this.#staleSince = null;
    return now - since;
  }

  /**
   * The client keeps what it had. It is sent the same again only together with a change, which may be what it needs.
   *
   * @returns false for an answer that is not to what was sent last
   */
  reject(nonce: string, reason: string): boolean {
    if (this.#outstanding?.nonce !== nonce) return false;
    for (const [name, version] of this.#outstanding.before) {
      // A name that was unsubscribed meanwhile comes back as held, and is then removed: harmless.
      if (version === undefined) this.#held.delete(name);
      else this.#held.set(name, version);
    }
    this.#rejected = { version: this.#outstanding.version, reason };
    this.#outstanding = null;
    return true;
  }

  status(): SubscriptionStatus {
    const staleSince = this.#staleSince === null ? undefined : new Date(this.#staleSince).toISOString();
    const common = { acknowledged: this.#acknowledged, sent: this.#sent, staleSince };
    if (this.#rejected !== null) return { status: "NACK", ...common, reason: this.#rejected.reason };
    if (!this.#answered) return { status: "NOT SENT", ...common };
    return { status: this.#outstanding === null ? "SYNCED" : "STALE", ...common };
  }

  #subscribe(name: string): void {
    if (name === "*") this.#wildcard = true;
    else this.#names.add(name);
    if (this.#names.size > nameLimit) throw new SubscriptionError(`more than ${nameLimit} ${this.#type} names`);
  }

  *#wanted(available: AvailableResources): Iterable<string> {
    yield* this.#names;
    if (!this.#wildcard) return;
    for (const name of available.names(this.#type)) {
      if (!this.#names.has(name)) yield name;
    }
  }
}

function versionOf(versions: Map<string, string>): string {
  const lines = [...versions].filter(([, version]) => version !== absent).map((pair) => pair.join(" ")).sort();
  return contentHash(encoder.encode(lines.join("\n")));
}
