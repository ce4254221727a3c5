/** How long to wait before the next try. */

export class BackOff {
  #next: number;

  /** First and longest delay in milliseconds; `random` gives values in [0, 1). */
  constructor(
    private readonly first: number,
    private readonly longest: number,
    private readonly random: () => number = Math.random,
  ) {
    this.#next = first;
  }

  /** This try's delay: doubled each time, shortened by up to 40 % so that agents do not come back in step. */
  next(): number {
    const delay = this.#next * (1 - 0.4 * this.random());
    this.#next = Math.min(this.#next * 2, this.longest);
    return delay;
  }

  /** After a success. */
  reset(): void {
    this.#next = this.first;
  }
}

/**
 * For streams to the control plane: at once after a stream that was good, and never longer than three seconds, so that
 * every agent is back within three seconds of a control plane's return.
 */
export function reconnectBackOff(random?: () => number): BackOff {
  return new BackOff(50, 3_000, random);
}
