/** A token bucket in shared memory: all data threads take from the same one, without locks. */

/** Places that a bucket takes in shared memory. */
export const bucketLength = 2;
/** Of the clock that buckets are filled by: a 32-bit count of these lasts for 248 days before it wraps. */
export const ticksPerSecond = 100;

export interface BucketConfig {
  maxTokens: number;
  tokensPerFill: number;
  /** Milliseconds. */
  fillInterval: number;
  /** First of {@link bucketLength} places in shared memory, given by the main thread. All zero: a full bucket. */
  slot: number;
}

export class TokenBucket {
  /** Ticks. */
  readonly #interval: number;

  constructor(readonly config: BucketConfig) {
    this.#interval = Math.max(1, Math.round(config.fillInterval * ticksPerSecond / 1000));
  }

  /** Takes a token, if there is one; `now` in ticks. */
  take(shared: Int32Array, now: number): boolean {
    this.#fill(shared, now);
    const { slot, maxTokens } = this.config;
    for (;;) {
      const taken = Atomics.load(shared, slot);
      if (taken >= maxTokens) return false;
      if (Atomics.compareExchange(shared, slot, taken, taken + 1) === taken) return true;
    }
  }

  remaining(shared: Int32Array): number {
    return Math.max(0, this.config.maxTokens - Atomics.load(shared, this.config.slot));
  }

  /** Ticks until tokens come. */
  untilFill(shared: Int32Array, now: number): number {
    return Math.max(0, this.#interval - (now - Atomics.load(shared, this.config.slot + 1) | 0));
  }

  #fill(shared: Int32Array, now: number): void {
    const { slot, tokensPerFill } = this.config;
    const last = Atomics.load(shared, slot + 1);
    const fills = Math.floor((now - last | 0) / this.#interval);
    if (fills <= 0) return;
    // Whoever moves the clock on has the filling to do.
    if (Atomics.compareExchange(shared, slot + 1, last, last + fills * this.#interval | 0) !== last) return;
    for (;;) {
      const taken = Atomics.load(shared, slot);
      const left = Math.max(0, taken - fills * tokensPerFill);
      if (Atomics.compareExchange(shared, slot, taken, left) === taken) return;
    }
  }
}
