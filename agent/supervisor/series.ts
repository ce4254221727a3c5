/** The metric values of all data threads, added up when somebody asks. */
import { histogramLength } from "../config/shared_memory.ts";
import type { MetricName } from "../config/model.ts";

/** One time series over all threads. A counter has one value; a histogram as `agent/config/shared_memory.ts` says. */
export interface Series {
  metric: MetricName;
  labels: Record<string, string>;
  values: number[];
}

const histograms: ReadonlySet<MetricName> = new Set<MetricName>([
  "istio_request_duration_milliseconds",
  "istio_request_bytes",
  "istio_response_bytes",
]);

/** True when the metric is a histogram, false when it is a counter. */
export function isHistogram(metric: MetricName): boolean {
  return histograms.has(metric);
}

/** One thread's values and where each series stands in them. */
export class ThreadMetrics {
  readonly #values: Float64Array;
  readonly #series: { key: string; metric: MetricName; labels: Record<string, string>; slot: number }[] = [];

  constructor(memory: SharedArrayBuffer) {
    this.#values = new Float64Array(memory);
  }

  /** Notes a series that the thread has begun. */
  add(slot: number, metric: MetricName, labels: Record<string, string>): void {
    this.#series.push({ key: seriesKey(metric, labels), metric, labels, slot });
  }

  /** Adds this thread's values to the sums. */
  addTo(sums: Map<string, Series>): void {
    for (const { key, metric, labels, slot } of this.#series) {
      const length = isHistogram(metric) ? histogramLength : 1;
      let sum = sums.get(key);
      if (sum === undefined) {
        sum = { metric, labels, values: new Array<number>(length).fill(0) };
        sums.set(key, sum);
      }
      for (let i = 0; i < length; i++) sum.values[i] += this.#values[slot + i];
    }
  }
}

function seriesKey(metric: MetricName, labels: Record<string, string>): string {
  return JSON.stringify([metric, Object.entries(labels).sort(([a], [b]) => a < b ? -1 : a > b ? 1 : 0)]);
}

/** A copy whose values later additions do not touch. */
export function copySeries(sums: Map<string, Series>): Map<string, Series> {
  return new Map([...sums].map(([key, series]) => [key, { ...series, values: [...series.values] }]));
}
