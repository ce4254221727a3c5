/** Choosing among hosts by weight: pure; randomness and load come from the caller. */

/** Hosts with what their weights come to. */
export interface HostSet<H> {
  readonly hosts: readonly H[];
  /** `null` where all weigh the same. */
  readonly cumulativeWeights: readonly number[] | null;
  readonly totalWeight: number;
}

export function hostSet<H extends { weight: number }>(hosts: readonly H[]): HostSet<H> {
  let totalWeight = 0;
  const cumulativeWeights = hosts.map((host) => totalWeight += host.weight);
  const equal = hosts.every((host) => host.weight === hosts[0].weight);
  return { hosts, cumulativeWeights: equal ? null : cumulativeWeights, totalWeight };
}

/** Draws a host in proportion to weight; `random` from 0 up to 1. The set must not be empty. */
export function drawHost<H>(set: HostSet<H>, random: number): H {
  const { hosts, cumulativeWeights } = set;
  if (cumulativeWeights === null) return hosts[Math.floor(random * hosts.length)];
  const drawn = random * set.totalWeight;
  let low = 0;
  let high = hosts.length - 1;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (drawn < cumulativeWeights[middle]) high = middle;
    else low = middle + 1;
  }
  return hosts[low];
}

/** Least request: of some hosts drawn blindly the one with the fewest requests in flight (Envoy's LEAST_REQUEST). */
export function leastRequest<H>(
  hosts: readonly H[],
  activeRequests: (host: H) => number,
  choices: number,
  random: () => number,
): H {
  let best = hosts[Math.floor(random() * hosts.length)];
  let least = activeRequests(best);
  for (let i = 1; i < choices; i++) {
    const host = hosts[Math.floor(random() * hosts.length)];
    const active = activeRequests(host);
    if (active < least) {
      best = host;
      least = active;
    }
  }
  return best;
}

/**
 * Round robin: hosts in turn, heavier ones more often and spread evenly (smooth weighted round robin). Keeps its place
 * while the set stays the same.
 */
export class RoundRobin<H extends { weight: number }> {
  #set: HostSet<H> | null = null;
  #position = 0;
  #credits: number[] = [];

  /** @param start from 0 up to 1: where a new set begins, so that many proxies do not begin alike. */
  next(set: HostSet<H>, start: number): H {
    const { hosts } = set;
    if (set !== this.#set) {
      this.#set = set;
      this.#position = Math.floor(start * hosts.length);
      this.#credits = hosts.map(() => 0);
    }
    if (set.cumulativeWeights === null) {
      const host = hosts[this.#position];
      this.#position = this.#position + 1 === hosts.length ? 0 : this.#position + 1;
      return host;
    }
    let best = 0;
    for (let i = 0; i < hosts.length; i++) {
      this.#credits[i] += hosts[i].weight;
      if (this.#credits[i] > this.#credits[best]) best = i;
    }
    this.#credits[best] -= set.totalWeight;
    return hosts[best];
  }
}
