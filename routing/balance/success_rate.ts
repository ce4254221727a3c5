/**
 * Which hosts fail too often, by how they did over one interval: Envoy's success rate and failure percentage detectors
 * (https://www.envoyproxy.io/docs/envoy/latest/intro/arch_overview/upstream/outlier).
 */

/** What a host did over one interval. */
export interface IntervalCounts<H> {
  host: H;
  requests: number;
  successes: number;
}

export interface SuccessRateOptions {
  /** So many hosts must have had enough requests. */
  minimumHosts: number;
  /** Requests in an interval that are enough. */
  requestVolume: number;
  /** How many standard deviations below the mean are too many, in thousandths. */
  stdevFactor: number;
}

/** Hosts whose success rate lies far below that of the others. */
export function successRateOutliers<H>(counts: readonly IntervalCounts<H>[], options: SuccessRateOptions): H[] {
  const judged = counts.filter(({ requests }) => requests > 0 && requests >= options.requestVolume);
  if (judged.length === 0 || judged.length < options.minimumHosts) return [];
  const mean = judged.reduce((sum, one) => sum + rate(one), 0) / judged.length;
  const variance = judged.reduce((sum, one) => sum + (rate(one) - mean) ** 2, 0) / judged.length;
  const threshold = mean - options.stdevFactor / 1000 * Math.sqrt(variance);
  return judged.filter((one) => rate(one) < threshold).map(({ host }) => host);
}

export interface FailurePercentageOptions {
  minimumHosts: number;
  requestVolume: number;
  /** Percent of failed requests from which on a host fails too often. */
  threshold: number;
}

/** Hosts whose requests fail too often, whatever the others do. */
export function failurePercentageOutliers<H>(
  counts: readonly IntervalCounts<H>[],
  options: FailurePercentageOptions,
): H[] {
  const judged = counts.filter(({ requests }) => requests > 0 && requests >= options.requestVolume);
  if (judged.length < options.minimumHosts) return [];
  return judged.filter((one) => 100 - rate(one) >= options.threshold).map(({ host }) => host);
}

/** Percent. */
function rate({ requests, successes }: { requests: number; successes: number }): number {
  return 100 * successes / requests;
}
