/**
 * Consistent hashing as in Envoy: a ring of hashes (Ketama's algorithm) and Google's Maglev table
 * (https://www.envoyproxy.io/docs/envoy/latest/intro/arch_overview/upstream/load_balancing/load_balancers). The same
 * hosts give the same table everywhere, and a host that comes or goes moves few keys.
 */
import { murmurHash2 } from "./murmur_hash.ts";
import { Hash64, xxHash64 } from "./xx_hash.ts";

/** A host of a table. */
export interface HashedHost<H> {
  host: H;
  /** What its places depend on: `address:port`. */
  key: string;
  /** Above 0. */
  weight: number;
}

/** A table of hosts, of which there is at least one. */
export interface HashTable<H> {
  /** The host of a key; with each further attempt another place of the table. */
  find(key: Hash64, attempt: number): H;
}

export interface RingOptions {
  minimumSize: number;
  maximumSize: number;
  hashFunction: "XX_HASH" | "MURMUR_HASH_2";
}

const encoder = new TextEncoder();
const scratch = new Hash64();

export class HashRing<H> implements HashTable<H> {
  /** Sorted hashes in halves, and whose they are. */
  readonly #high: Uint32Array;
  readonly #low: Uint32Array;
  readonly #owners: Uint32Array;
  readonly #hosts: H[];

  constructor(hosts: readonly HashedHost<H>[], options: RingOptions) {
    const total = hosts.reduce((sum, { weight }) => sum + weight, 0);
    const least = Math.min(...hosts.map(({ weight }) => weight)) / total;
    // So many hashes that the lightest host has a whole number of them.
    const scale = Math.min(Math.ceil(least * options.minimumSize) / least, options.maximumSize);
    const points: { hash: bigint; owner: number }[] = [];
    let target = 0;
    hosts.forEach(({ key, weight }, owner) => {
      target += scale * weight / total;
      for (let i = 0; points.length < target; i++) {
        points.push({ hash: hashOf(encoder.encode(`${key}_${i}`), options.hashFunction), owner });
      }
    });
    points.sort((one, other) => one.hash < other.hash ? -1 : one.hash > other.hash ? 1 : 0);
    this.#hosts = hosts.map(({ host }) => host);
    this.#high = Uint32Array.from(points, ({ hash }) => Number(hash >> 32n));
    this.#low = Uint32Array.from(points, ({ hash }) => Number(hash & 0xffffffffn));
    this.#owners = Uint32Array.from(points, ({ owner }) => owner);
  }

  get size(): number {
    return this.#owners.length;
  }

  find(key: Hash64, attempt: number): H {
    let from = 0;
    let to = this.size;
    while (from < to) {
      const middle = (from + to) >>> 1;
      const high = this.#high[middle];
      if (high < key.high || (high === key.high && this.#low[middle] < key.low)) from = middle + 1;
      else to = middle;
    }
    return this.#hosts[this.#owners[(from + attempt) % this.size]];
  }
}

export class MaglevTable<H> implements HashTable<H> {
  readonly #owners: Int32Array;
  readonly #hosts: H[];

  /** @param size a prime number larger than the number of hosts */
  constructor(hosts: readonly HashedHost<H>[], size: number) {
    const sorted = [...hosts].sort((one, other) => one.key < other.key ? -1 : one.key > other.key ? 1 : 0);
    const heaviest = Math.max(...sorted.map(({ weight }) => weight));
    const entries = sorted.map(({ key, weight }) => {
      const bytes = encoder.encode(key);
      xxHash64(bytes, 0, bytes.length, scratch);
      const offset = scratch.modulo(size);
      xxHash64(bytes, 0, bytes.length, scratch, 0, 1);
      return { next: offset, skip: scratch.modulo(size - 1) + 1, weight, target: 0 };
    });
    this.#hosts = sorted.map(({ host }) => host);
    this.#owners = new Int32Array(size).fill(-1);
    let filled = 0;
    for (let turn = 1; filled < size; turn++) {
      for (let owner = 0; owner < entries.length && filled < size; owner++) {
        const entry = entries[owner];
        // Lighter hosts sit out turns in proportion.
        if (turn * entry.weight < entry.target) continue;
        entry.target += heaviest;
        while (this.#owners[entry.next] >= 0) entry.next = (entry.next + entry.skip) % size;
        this.#owners[entry.next] = owner;
        entry.next = (entry.next + entry.skip) % size;
        filled++;
      }
    }
  }

  find(key: Hash64, attempt: number): H {
    if (attempt === 0) return this.#hosts[this.#owners[key.modulo(this.#owners.length)]];
    // Envoy: hash ^ (2^64 - attempt)
    scratch.high = ~key.high >>> 0;
    scratch.low = (key.low ^ -attempt) >>> 0;
    return this.#hosts[this.#owners[scratch.modulo(this.#owners.length)]];
  }
}

function hashOf(bytes: Uint8Array, hashFunction: RingOptions["hashFunction"]): bigint {
  if (hashFunction === "MURMUR_HASH_2") return murmurHash2(bytes);
  xxHash64(bytes, 0, bytes.length, scratch);
  return (BigInt(scratch.high) << 32n) | BigInt(scratch.low);
}
