/** Metrics in Prometheus' text format 0.0.4 (prometheus.io/docs/instrumenting/exposition_formats). */
import { durationBuckets } from "../config/shared_memory.ts";
import { isHistogram, type Series } from "./series.ts";

/** A metric of the agent itself. */
export interface Gauge {
  name: string;
  help: string;
  type: "gauge" | "counter";
  samples: { labels: Record<string, string>; value: number }[];
}

const help: Record<Series["metric"], string> = {
  istio_requests_total: "Requests, by what became of them.",
  istio_request_duration_milliseconds: "Time from a request's first byte to its response's last, in milliseconds.",
  istio_request_bytes: "Size of request bodies.",
  istio_response_bytes: "Size of response bodies.",
  istio_tcp_connections_opened_total: "TCP connections opened.",
  istio_tcp_connections_closed_total: "TCP connections closed.",
  istio_tcp_sent_bytes_total: "Bytes sent on TCP connections.",
  istio_tcp_received_bytes_total: "Bytes received on TCP connections.",
};

/** The whole text: series of one metric stand together under one HELP and one TYPE line, as the format demands. */
export function prometheusText(series: Series[], gauges: Gauge[]): string {
  const lines: string[] = [];
  const byMetric = new Map<Series["metric"], Series[]>();
  for (const one of series) byMetric.set(one.metric, [...byMetric.get(one.metric) ?? [], one]);
  for (const [metric, members] of byMetric) {
    const histogram = isHistogram(metric);
    lines.push(`# HELP ${metric} ${help[metric]}`, `# TYPE ${metric} ${histogram ? "histogram" : "counter"}`);
    for (const { labels, values } of members) {
      if (histogram) lines.push(...histogramLines(metric, labels, values));
      else lines.push(sample(metric, labels, values[0]));
    }
  }
  for (const { name, help, type, samples } of gauges) {
    lines.push(`# HELP ${name} ${help}`, `# TYPE ${name} ${type}`);
    for (const { labels, value } of samples) lines.push(sample(name, labels, value));
  }
  return lines.join("\n") + "\n";
}

/** `values` are counts per bucket; the format wants each bucket to count all that is at most its bound. */
function histogramLines(metric: string, labels: Record<string, string>, values: number[]): string[] {
  let count = 0;
  const lines = durationBuckets.map((bound, i) =>
    sample(`${metric}_bucket`, { ...labels, le: String(bound) }, count += values[i])
  );
  count += values[durationBuckets.length];
  lines.push(sample(`${metric}_bucket`, { ...labels, le: "+Inf" }, count));
  lines.push(sample(`${metric}_sum`, labels, values[durationBuckets.length + 1]));
  lines.push(sample(`${metric}_count`, labels, count));
  return lines;
}

function sample(name: string, labels: Record<string, string>, value: number): string {
  const pairs = Object.entries(labels).map(([label, text]) => `${label}="${escaped(text)}"`);
  return `${name}${pairs.length > 0 ? `{${pairs.join(",")}}` : ""} ${value}`;
}

function escaped(text: string): string {
  return text.replaceAll("\\", "\\\\").replaceAll('"', '\\"').replaceAll("\n", "\\n");
}
