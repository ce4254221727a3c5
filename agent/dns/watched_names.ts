/** Names that clusters have, kept resolved: asked for anew when their records end, the last good answer kept meanwhile. */
import { isIP } from "node:net";
import { logger } from "../../log/log.ts";
import type { DnsConfig } from "../config/name_resolution.ts";
import type { AddressType, Resolution } from "./resolver.ts";

/** What a name is watched with; watches that agree in it share their questions. */
export type WatchOptions = Omit<DnsConfig, "logical">;

/** Totals of one name, by Envoy's names of a cluster's updates. */
export interface NameStatistics {
  attempts: number;
  successes: number;
  failures: number;
  /** Answers without an address. */
  empty: number;
}

/** One name that somebody watches. */
export interface NameWatch {
  /** `null`: not resolved yet, and not failed to either. */
  readonly addresses: readonly string[] | null;
  readonly statistics: Readonly<NameStatistics>;
  /** Why it could not be resolved the last time; `null`: it could. */
  readonly failure: string | null;
  close(): void;
}

/** What resolves a name once. */
export type Resolve = (name: string, type: AddressType) => Promise<Resolution>;

const log = logger("dns");
/** Milliseconds for which the last good answer is used while no server answers: RFC 8767 §5 says one to three days. */
const longestStale = 24 * 3_600_000;
/** A shorter life of a record would make us ask without end. */
const shortestWait = 1000;
/** Added to every wait, at random up to this, so that agents started together do not ask together: Istio's default. */
const jitter = 100;
const longestWait = 24 * 3_600_000;

export class WatchedNames {
  readonly #resolve: Resolve;
  readonly #names = new Map<string, WatchedName>();

  constructor(resolve: Resolve) {
    this.#resolve = resolve;
  }

  /** Calls `changed` when there are other addresses, or the first answer. An IP address is its own answer. */
  watch(name: string, options: WatchOptions, changed: () => void): NameWatch {
    const key = JSON.stringify([name, options]);
    let watched = this.#names.get(key);
    if (watched === undefined) this.#names.set(key, watched = new WatchedName(name, options, this.#resolve));
    const known = watched;
    known.listeners.add(changed);
    return {
      get addresses() {
        return known.addresses;
      },
      get failure() {
        return known.failure;
      },
      statistics: known.statistics,
      close: () => {
        known.listeners.delete(changed);
        if (known.listeners.size > 0) return;
        known.stop();
        this.#names.delete(key);
      },
    };
  }
}

class WatchedName {
  readonly listeners = new Set<() => void>();
  readonly statistics: NameStatistics = { attempts: 0, successes: 0, failures: 0, empty: 0 };
  addresses: readonly string[] | null = null;
  failure: string | null = null;
  #failures = 0;
  #goodUntil = 0;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #stopped = false;

  constructor(readonly name: string, readonly options: WatchOptions, readonly resolve: Resolve) {
    if (isIP(name) !== 0) this.addresses = [name];
    else this.#turn();
  }

  stop(): void {
    this.#stopped = true;
    clearTimeout(this.#timer);
  }

  #turn(): void {
    this.statistics.attempts++;
    // Both ways of ending are handled, so it never rejects.
    void this.#lookUp().then((resolution) => this.#succeed(resolution), (error) => this.#fail(error)).then((wait) => {
      if (this.#stopped) return;
      const pause = Math.min(Math.max(wait, shortestWait), longestWait) + Math.random() * jitter;
      this.#timer = setTimeout(() => this.#turn(), pause);
    });
  }

  async #lookUp(): Promise<Resolution> {
    const { lookupFamily } = this.options;
    const one = (type: AddressType) => this.resolve(this.name, type);
    const oneOrOther = async (first: AddressType, second: AddressType) => {
      const found = await one(first);
      return found.addresses.length > 0 ? found : await one(second);
    };
    switch (lookupFamily) {
      case "V4_ONLY":
        return await one("A");
      case "V6_ONLY":
        return await one("AAAA");
      case "V4_PREFERRED":
        return await oneOrOther("A", "AAAA");
      case "AUTO":
        return await oneOrOther("AAAA", "A");
      case "ALL": {
        const both = await Promise.all([one("A"), one("AAAA")]);
        const lives = both.map(({ ttl }) => ttl).filter((ttl) => ttl !== null);
        return {
          addresses: both.flatMap(({ addresses }) => addresses),
          ttl: lives.length > 0 ? Math.min(...lives) : null,
        };
      }
    }
  }

  /** Milliseconds until the next question. */
  #succeed({ addresses, ttl }: Resolution): number {
    this.statistics.successes++;
    if (addresses.length === 0) this.statistics.empty++;
    if (this.failure !== null) log.info("a name is resolved again", { name: this.name });
    this.failure = null;
    this.#failures = 0;
    this.#goodUntil = performance.now() + longestStale;
    this.#set(addresses);
    const { respectTtl, refreshRate } = this.options;
    return respectTtl && ttl !== null && ttl > 0 ? ttl : refreshRate;
  }

  #fail(error: unknown): number {
    this.statistics.failures++;
    const reason = error instanceof Error ? error.message : String(error);
    if (this.failure === null) {
      const kept = this.addresses?.length ?? 0;
      log.warn("a name cannot be resolved; the last answer is kept", { name: this.name, reason, kept });
    }
    this.failure = reason;
    if (this.addresses === null || performance.now() >= this.#goodUntil) this.#set([]);
    const { base, maximum } = this.options.failureRefresh;
    return Math.min(maximum, base * 2 ** Math.min(this.#failures++, 20));
  }

  /** Servers turn the order of their answers, which means nothing. */
  #set(addresses: readonly string[]): void {
    if (this.#stopped) return;
    const before = this.addresses;
    const same = before !== null && before.length === addresses.length &&
      before.every((address) => addresses.includes(address));
    if (same) return;
    this.addresses = addresses;
    for (const changed of [...this.listeners]) changed();
  }
}
