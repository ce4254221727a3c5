/**
 * Consistent hashing with bounded loads (https://arxiv.org/abs/1608.01350), as Envoy's hash_balance_factor has it: no
 * host has more than so many percent of the average of active requests while another has fewer.
 */
import type { HashedHost, HashTable } from "./consistent_hash.ts";
import type { Hash64 } from "./xx_hash.ts";

/** Active requests as they are now. */
export interface ActiveRequests<H> {
  ofHost(host: H): number;
  ofCluster(): number;
}

export class BoundedLoad<H> implements HashTable<H> {
  readonly #weights: ReadonlyMap<H, number>;
  readonly #hosts: readonly H[];
  /** The order in which the hosts are tried, shuffled anew for each key that needs it. */
  readonly #order: Uint32Array;

  /** @param factor percent of the average that one host may have, at least 100 */
  constructor(
    hosts: readonly HashedHost<H>[],
    private readonly table: HashTable<H>,
    private readonly factor: number,
    private readonly active: ActiveRequests<H>,
  ) {
    const total = hosts.reduce((sum, { weight }) => sum + weight, 0);
    this.#hosts = hosts.map(({ host }) => host);
    this.#weights = new Map(hosts.map(({ host, weight }) => [host, weight / total]));
    this.#order = Uint32Array.from(hosts, (_, index) => index);
  }

  find(key: Hash64, attempt: number): H {
    const first = this.table.find(key, attempt);
    let least = this.#load(first);
    if (least <= 1) return first;
    // The same key tries the others in the same order each time.
    let found = first;
    let state = (key.low ^ key.high) >>> 0 || 1;
    const order = this.#order;
    for (let i = 0; i < order.length; i++) order[i] = i;
    for (let i = 0; i < order.length; i++) {
      state = xorshift(state);
      const other = i + state % (order.length - i);
      const index = order[other];
      order[other] = order[i];
      order[i] = index;
      const load = this.#load(this.#hosts[index]);
      if (load <= 1) return this.#hosts[index];
      if (load < least) {
        least = load;
        found = this.#hosts[index];
      }
    }
    return found;
  }

  /** Active requests of the host as a part of those that it may have. */
  #load(host: H): number {
    const allowed = Math.floor(((this.active.ofCluster() + 1) * this.factor + 99) / 100);
    return this.active.ofHost(host) / Math.max(1, Math.ceil(allowed * this.#weights.get(host)!));
  }
}

/** The next of a sequence of 32-bit numbers that are not 0 (Marsaglia's xorshift). */
function xorshift(state: number): number {
  let next = state ^ state << 13;
  next ^= next >>> 17;
  next ^= next << 5;
  return next >>> 0;
}
