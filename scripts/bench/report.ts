/** The benchmark's results: medians over the rounds, as a table and as JSON. */
import type { Latency } from "./load.ts";
import { type ScenarioName, scenarios } from "./scenario.ts";

/** One proxy under full load, once. */
export interface Sample {
  scenario: ScenarioName;
  proxy: string;
  connections: number;
  round: number;
  requestsPerSecond: number;
  /** Processor time of all the proxy's processes and threads per request. */
  microsecondsPerRequest: number;
  errors: number;
}

/** One proxy under a fixed rate. */
export interface RateSample extends Latency {
  scenario: ScenarioName;
  proxy: string;
  connections: number;
}

export interface Results {
  machine: { processors: number; kernel: string; date: string };
  versions: Record<string, string>;
  samples: Sample[];
  rates: RateSample[];
  /** KiB after all load, of all the proxy's processes. */
  memory: { scenario: ScenarioName; proxy: string; kibibytes: number }[];
  failures: string[];
}

export function median(values: number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

/** Markdown tables. Ratios to nginx are taken within each round, and their median shown. */
export function markdown(results: Results): string {
  const load = [
    "| scenario | connections | proxy | µs CPU/request | × nginx | requests/s |",
    "| --- | --- | --- | --- | --- | --- |",
  ];
  for (const group of grouped(results.samples, ({ scenario, connections }) => `${scenario} ${connections}`)) {
    const { scenario, connections } = group[0];
    const peer = new Map(group.filter(({ proxy }) => proxy === "nginx").map((sample) => [sample.round, sample]));
    for (const own of grouped(group, ({ proxy }) => proxy)) {
      const ratios = own.flatMap((sample) => {
        const other = peer.get(sample.round);
        return other === undefined ? [] : [sample.microsecondsPerRequest / other.microsecondsPerRequest];
      });
      load.push(row([
        title(scenario),
        String(connections),
        own[0].proxy,
        median(own.map((sample) => sample.microsecondsPerRequest)).toFixed(1),
        ratios.length === 0 ? "" : median(ratios).toFixed(2),
        median(own.map((sample) => sample.requestsPerSecond)).toFixed(0),
      ]));
    }
  }
  const rate = [
    "| scenario | requests/s | connections | proxy | p50 ms | p99 ms | p99.9 ms | RSS MiB |",
    "| --- | --- | --- | --- | --- | --- | --- | --- |",
    ...results.rates.map((sample) => {
      const memory = results.memory.find((m) => m.scenario === sample.scenario && m.proxy === sample.proxy);
      return row([
        title(sample.scenario),
        // A proxy that did not keep up has no latency worth the name.
        sample.reached < 0.95 * sample.offered ? `${sample.reached} of ${sample.offered}` : String(sample.offered),
        String(sample.connections),
        sample.proxy,
        ...[sample.p50, sample.p99, sample.p999].map((value) => value.toFixed(2)),
        ((memory?.kibibytes ?? 0) / 1024).toFixed(0),
      ]);
    }),
  ];
  return [...load, "", ...rate].join("\n");
}

function row(cells: string[]): string {
  return `| ${cells.join(" | ")} |`;
}

function title(scenario: ScenarioName): string {
  return `(${scenarios[scenario].letter}) ${scenarios[scenario].title}`;
}

function grouped<Item>(items: Item[], key: (item: Item) => string): Item[][] {
  return [...Map.groupBy(items, key).values()];
}
