/** Slow start (https://www.envoyproxy.io/docs/envoy/latest/intro/arch_overview/upstream/load_balancing/slow_start). */

export interface SlowStart {
  /** Milliseconds in which a new host comes to its full weight. */
  window: number;
  /** 1: linearly; above, faster at first; below, slower at first. */
  aggression: number;
  /** Percent of the weight that a new host begins with at least. */
  minimumWeightPercent: number;
}

/** The part of its weight that a host of this age (milliseconds) has. */
export function slowStartFactor(age: number, { window, aggression, minimumWeightPercent }: SlowStart): number {
  if (age >= window) return 1;
  return Math.max(minimumWeightPercent / 100, Math.pow(Math.max(1, age) / window, 1 / aggression));
}
