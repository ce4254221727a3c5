/**
 * Istio's standard metrics of one data thread: values in shared memory, written without locks (one writer), read by
 * the main thread. A new time series is announced to the main thread once.
 */
import { durationBuckets, histogramLength } from "../config/shared_memory.ts";
import type { DataThreadMessage, MetricName } from "../config/model.ts";

/** The values of one combination of labels. */
export interface RequestSeries {
  requests: number;
  duration: number;
  requestBytes: number;
  responseBytes: number;
}

/** The values of one combination of labels of TCP connections: counters. */
export interface TcpSeries {
  opened: number;
  closed: number;
  sent: number;
  received: number;
}

/** What Telemetries change of one metric. */
export interface MetricChange {
  /** Whether it is not kept at all. */
  drop: boolean;
  removedTags: string[];
  /** Tags that it has instead or besides, with their values. */
  tags: Record<string, string>;
}

/** By the metric's name without `istio_`. */
export type MetricChanges = Readonly<Record<string, MetricChange>>;

function changedLabels(labels: Record<string, string>, { removedTags, tags }: MetricChange): Record<string, string> {
  const kept = Object.entries(labels).filter(([name]) => !removedTags.includes(name));
  return { ...Object.fromEntries(kept), ...tags };
}

export class SeriesTable {
  #next = 0;
  #unseen: number | null = null;
  #full = false;

  constructor(
    private readonly values: Float64Array,
    private readonly post: (message: DataThreadMessage) => void,
  ) {}

  /** Makes the series of a request with these labels; when memory is used up, what follows shares the last ones. */
  request(labels: Record<string, string>, changes: MetricChanges = {}): RequestSeries {
    return {
      requests: this.#make("istio_requests_total", labels, 1, changes),
      duration: this.#make("istio_request_duration_milliseconds", labels, histogramLength, changes),
      requestBytes: this.#make("istio_request_bytes", labels, histogramLength, changes),
      responseBytes: this.#make("istio_response_bytes", labels, histogramLength, changes),
    };
  }

  /** Makes the series of TCP connections with these labels, as {@link request} does. */
  tcp(labels: Record<string, string>, changes: MetricChanges = {}): TcpSeries {
    return {
      opened: this.#make("istio_tcp_connections_opened_total", labels, 1, changes),
      closed: this.#make("istio_tcp_connections_closed_total", labels, 1, changes),
      sent: this.#make("istio_tcp_sent_bytes_total", labels, 1, changes),
      received: this.#make("istio_tcp_received_bytes_total", labels, 1, changes),
    };
  }

  /** Adds to one of the counters of {@link tcp}. */
  count(counter: number, amount: number): void {
    this.values[counter] += amount;
  }

  #make(metric: MetricName, all: Record<string, string>, length: number, changes: MetricChanges): number {
    const change = changes[metric.slice("istio_".length)];
    // What nobody asks for is counted where nobody looks.
    if (change?.drop) return this.#unseen ??= this.#take(histogramLength);
    const labels = change === undefined ? all : changedLabels(all, change);
    if (this.#next + length > this.values.length) {
      if (!this.#full) {
        this.#full = true;
        this.post({
          kind: "log",
          level: "warn",
          message: "metric memory is used up: further label combinations are not counted apart",
          fields: {},
        });
      }
      return this.values.length - histogramLength;
    }
    const slot = this.#take(length);
    this.post({ kind: "series", slot, metric, labels });
    return slot;
  }

  #take(length: number): number {
    if (this.#next + length > this.values.length) return this.values.length - histogramLength;
    const slot = this.#next;
    this.#next += length;
    return slot;
  }

  /** Counts one request. Duration in milliseconds. */
  record(series: RequestSeries, duration: number, requestBytes: number, responseBytes: number): void {
    this.values[series.requests]++;
    this.#observe(series.duration, duration);
    this.#observe(series.requestBytes, requestBytes);
    this.#observe(series.responseBytes, responseBytes);
  }

  #observe(slot: number, value: number): void {
    let bucket = 0;
    while (bucket < durationBuckets.length && value > durationBuckets[bucket]) bucket++;
    this.values[slot + bucket]++;
    this.values[slot + histogramLength - 1] += value;
  }
}
