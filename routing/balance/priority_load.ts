/**
 * How load spreads over the priorities of a cluster, as in Envoy
 * (https://www.envoyproxy.io/docs/envoy/latest/intro/arch_overview/upstream/load_balancing/priority and …/panic_threshold).
 */

/** How many hosts a priority has, and how many of them may be chosen. */
export interface PriorityHealth {
  total: number;
  available: number;
}

export interface PriorityShare {
  /** Percent of the requests. The shares of all priorities sum up to 100. */
  load: number;
  /** Too few are available: all hosts of the priority are used, healthy or not. */
  panic: boolean;
}

export interface PriorityOptions {
  /** Percent: with 140, a priority carries its whole load until less than 72 % of its hosts are available. */
  overprovisioningFactor: number;
  /** Percent of hosts that must be available for the others to be left out; 0: they always are. */
  panicThreshold: number;
}

/** The share of each priority; `levels` in order, the most preferred first, and at least one. */
export function priorityShares(levels: readonly PriorityHealth[], options: PriorityOptions): PriorityShare[] {
  const health = levels.map(({ total, available }) =>
    total === 0 ? 0 : Math.min(100, Math.floor(options.overprovisioningFactor * available / total))
  );
  const availability = Math.min(100, health.reduce((sum, one) => sum + one, 0));
  const panicThreshold = Math.min(100, options.panicThreshold);
  const shares = levels.map(() => ({ load: 0, panic: false }));
  if (availability === 0) {
    // Nothing is left: as in Envoy, all goes to the first priority.
    shares[0] = { load: 100, panic: panicThreshold > 0 };
    return shares;
  }
  let remaining = 100;
  for (let i = 0; i < health.length; i++) {
    shares[i].load = Math.min(remaining, Math.floor(health[i] * 100 / availability));
    remaining -= shares[i].load;
  }
  shares[health.findIndex((one) => one > 0)].load += remaining;
  // While the priorities together can carry everything, none of them panics.
  if (availability === 100) return shares;
  levels.forEach(({ total, available }, i) => {
    shares[i].panic = (total === 0 ? 0 : 100 * available / total) < panicThreshold;
  });
  if (shares.every(({ panic }) => panic)) spreadByHosts(levels, shares);
  return shares;
}

/**
 * The shares where some priorities get nothing, as Envoy's previous_priorities has it; `null`: without them there is
 * no host that may be chosen.
 */
export function sharesOfOthers(
  levels: readonly PriorityHealth[],
  options: PriorityOptions,
  left: ReadonlySet<number>,
): PriorityShare[] | null {
  const others = levels.map((level, i) => left.has(i) ? { total: level.total, available: 0 } : level);
  if (others.every(({ available }) => available === 0)) return null;
  // Panic is a state of the hosts as they are, and goes with the shares of all.
  return priorityShares(others, { ...options, panicThreshold: 0 });
}

/** Every priority panics: their load goes by how many hosts they have. */
function spreadByHosts(levels: readonly PriorityHealth[], shares: PriorityShare[]): void {
  const hosts = levels.reduce((sum, { total }) => sum + total, 0);
  let remaining = 100;
  levels.forEach(({ total }, i) => {
    shares[i].load = Math.floor(100 * total / hosts);
    remaining -= shares[i].load;
  });
  shares[levels.findIndex(({ total }) => total > 0)].load += remaining;
}

/** The priority that a number from 0 to 99 falls to. */
export function drawPriority(shares: readonly PriorityShare[], draw: number): number {
  let sum = 0;
  for (let i = 0; i < shares.length; i++) {
    sum += shares[i].load;
    if (draw < sum) return i;
  }
  return shares.length - 1;
}

/**
 * What a locality's weight counts while only some of its hosts are available, as in Envoy
 * (https://www.envoyproxy.io/docs/envoy/latest/intro/arch_overview/upstream/load_balancing/locality_weight).
 */
export function effectiveLocalityWeight(
  weight: number,
  { total, available }: PriorityHealth,
  overprovisioningFactor: number,
): number {
  return total === 0 ? 0 : weight * Math.min(1, overprovisioningFactor / 100 * available / total);
}
