/**
 * Earliest deadline first, Envoy's scheduler for weighted hosts: a host's next turn lies the further ahead the lighter
 * it is, and its weight is asked for anew at each turn.
 */
export class EdfScheduler<H> {
  /** A binary heap by deadline. */
  readonly #heap: { host: H; deadline: number }[];
  readonly #weightOf: (host: H) => number;

  /**
   * @param hosts at least one
   * @param weightOf above 0
   * @param random from 0 up to 1: where each host begins, so that many proxies do not begin alike
   */
  constructor(hosts: readonly H[], weightOf: (host: H) => number, random: () => number) {
    this.#weightOf = weightOf;
    this.#heap = hosts.map((host) => ({ host, deadline: random() / weightOf(host) }))
      .sort((one, other) => one.deadline - other.deadline);
  }

  next(): H {
    const first = this.#heap[0];
    first.deadline += 1 / this.#weightOf(first.host);
    this.#sink();
    return first.host;
  }

  #sink(): void {
    const heap = this.#heap;
    const sinking = heap[0];
    let at = 0;
    for (;;) {
      let child = 2 * at + 1;
      if (child >= heap.length) break;
      if (child + 1 < heap.length && heap[child + 1].deadline < heap[child].deadline) child++;
      if (heap[child].deadline >= sinking.deadline) break;
      heap[at] = heap[child];
      at = child;
    }
    heap[at] = sinking;
  }
}
