/** Slows down addresses whose join calls fail: a bucket of failures per address that drains with time. */

/** Failures that an address may have at once. */
const burst = 10;
/** Milliseconds after which one failure is forgotten. */
const drain = 6_000;
/** Addresses remembered; beyond it the one that has been quiet longest is forgotten. */
const capacity = 10_000;

interface Bucket {
  failures: number;
  updated: number;
}

export class FailureLimiter {
  readonly #buckets = new Map<string, Bucket>();
  readonly #now: () => number;

  constructor(now: () => number) {
    this.#now = now;
  }

  /** Milliseconds until the address may call again; 0: now. */
  delayFor(address: string): number {
    const excess = this.#failuresOf(address) - (burst - 1);
    return Math.max(0, Math.ceil(excess * drain));
  }

  /** Counts a failed call. */
  failed(address: string): void {
    const key = networkOf(address);
    const failures = this.#failuresOf(address) + 1;
    // Deleting first keeps the map in order of the last failure.
    this.#buckets.delete(key);
    if (this.#buckets.size >= capacity) this.#buckets.delete(this.#buckets.keys().next().value!);
    this.#buckets.set(key, { failures, updated: this.#now() });
  }

  get size(): number {
    return this.#buckets.size;
  }

  #failuresOf(address: string): number {
    const bucket = this.#buckets.get(networkOf(address));
    if (bucket === undefined) return 0;
    return Math.max(0, bucket.failures - Math.max(0, this.#now() - bucket.updated) / drain);
  }
}

/** An IPv6 host usually owns a /64, so that counts as one address. */
function networkOf(address: string): string {
  if (!address.includes(":")) return address;
  const mapped = /^::ffff:([0-9.]+)$/i.exec(address);
  if (mapped) return mapped[1];
  const [head, tail] = address.split("::");
  const groups = head === "" ? [] : head.split(":");
  if (tail !== undefined) {
    const rest = tail === "" ? 0 : tail.split(":").length;
    while (groups.length < 8 - rest) groups.push("0");
  }
  return groups.slice(0, 4).join(":");
}
