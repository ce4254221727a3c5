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

  /** This try's delay: doubled each time, spread by ±20 % so that agents do not come back in step. */
  next(): number {
    const delay = this.#next * (0.8 + 0.4 * this.random());
    this.#next = Math.min(this.#next * 2, this.longest);
    return delay;
  }

  /** After a success. */
  reset(): void {
    this.#next = this.first;
  }
}
