/**
 * The hosts of a cluster that requests name themselves (Envoy's dynamic_forward_proxy): one for each authority. A request
 * whose host is not known yet waits while the main thread resolves the name.
 */
import type { DynamicHostsConfig } from "../config/name_resolution.ts";
import type { DataThread } from "../worker/thread.ts";
import { Timer } from "../worker/timer_wheel.ts";
import type { Host } from "./cluster.ts";

/** A request that waits for its host. */
export interface HostSeeker {
  /** The key of the host it waits for: see {@link dynamicKey}. */
  readonly soughtHost: string;
  /** There is an answer: ask {@link DynamicHosts.find} and {@link DynamicHosts.isUnresolved}. */
  onHostAnswered(): void;
}

/** What is said of a host whose name is asked for. */
export interface Question {
  name: string;
  port: number;
}

export class DynamicHosts {
  #known = new Map<string, Host>();
  /** Keys of names that have no address at the moment. */
  #unresolved: ReadonlySet<string> = new Set();
  readonly #seekers = new Set<HostSeeker>();
  readonly #usedAt = new Map<string, number>();
  /** Those who wait go on outside the change that brings the answer. */
  readonly #answer = new Timer(() => this.#tellSeekers());

  /** @param ask says to the main thread that the name is wanted, still or anew */
  constructor(
    private readonly thread: DataThread,
    readonly config: DynamicHostsConfig,
    private readonly ask: (question: Question) => void,
  ) {}

  /** Replaces what is known. */
  set(hosts: Iterable<Host>, unresolved: readonly string[]): void {
    this.#known = new Map(
      [...hosts].map((host) => [dynamicKey({ name: host.config.logicalName ?? "", port: host.config.port }), host]),
    );
    this.#unresolved = new Set(unresolved);
    for (const key of this.#usedAt.keys()) if (!this.#isAnswered(key)) this.#usedAt.delete(key);
    if (this.#seekers.size > 0) this.thread.loop.setTimer(this.#answer, 0);
  }

  /** The host of this key; `null`: it is not known, or has no address. */
  find(key: string): Host | null {
    const host = this.#known.get(key) ?? null;
    if (host !== null || this.#unresolved.has(key)) this.#touch(key);
    return host;
  }

  isUnresolved(key: string): boolean {
    return this.#unresolved.has(key);
  }

  /** Lets the request wait until its host is known, and asks for it; false: too many wait. */
  seek(seeker: HostSeeker): boolean {
    if (this.#seekers.size >= this.config.maxPendingRequests) return false;
    this.#seekers.add(seeker);
    this.ask(questionOf(seeker.soughtHost));
    return true;
  }

  withdraw(seeker: HostSeeker): void {
    this.#seekers.delete(seeker);
  }

  /** What is used is kept: the main thread forgets names that nobody has asked for in a while. */
  #touch(key: string): void {
    const { now } = this.thread.loop;
    const usedAt = this.#usedAt.get(key);
    if (usedAt !== undefined && now - usedAt < this.config.hostTtl / 4) return;
    this.#usedAt.set(key, now);
    if (usedAt !== undefined) this.ask(questionOf(key));
  }

  #isAnswered(key: string): boolean {
    return this.#known.has(key) || this.#unresolved.has(key);
  }

  #tellSeekers(): void {
    for (const seeker of [...this.#seekers]) {
      if (!this.#isAnswered(seeker.soughtHost)) continue;
      this.#seekers.delete(seeker);
      seeker.onHostAnswered();
    }
  }
}

/** One text for a name and a port. */
export function dynamicKey({ name, port }: Question): string {
  return `${name} ${port}`;
}

function questionOf(key: string): Question {
  const space = key.lastIndexOf(" ");
  return { name: key.slice(0, space), port: Number(key.slice(space + 1)) };
}

/**
 * Name and port that an authority stands for, by {@link dynamicKey}; empty: it is none to dial.
 *
 * @param authority in lower case
 * @param defaultPort where it has none
 */
export function soughtHost(authority: string, defaultPort: number): string {
  const match = /^(?:\[([0-9a-f:.]{2,45})\]|([a-z0-9_.-]{1,254}))(?::([0-9]{1,5}))?$/.exec(authority);
  if (match === null) return "";
  const name = (match[1] ?? match[2]).replace(/\.$/, "");
  const port = match[3] === undefined ? defaultPort : Number(match[3]);
  return name === "" || port < 1 || port > 65535 ? "" : dynamicKey({ name, port });
}
