/** The benchmark's results: medians over the rounds, as tables for README and as JSON. */
import type { Scenario } from "./scenario.ts";

/** One table for each unit. */
export type Table =
  | "µs/request"
  | "requests/s"
  | "ms"
  | "MiB/CPU second"
  | "µs/s"
  | "KiB"
  | "MiB"
  | "×"
  | "control plane, ms";

const headings: Record<Table, string> = {
  "µs/request": "Processor time per request, in µs",
  "requests/s": "Requests per second",
  "ms": "Latency at a constant rate, in ms",
  "MiB/CPU second": "MiB carried in a second of processor time",
  "µs/s": "Processor time without a request, in µs per second",
  "KiB": "Memory, in KiB",
  "MiB": "Memory, in MiB",
  "×": "Data threads",
  "control plane, ms": "The control plane: processor time and time to configuration, in ms",
};

/** One measurement of one proxy. */
export interface Value {
  /** Its letter. */
  scenario: string;
  table: Table;
  /** What of the scenario: `32 connections`, `p99`. */
  row: string;
  proxy: string;
  round: number;
  value: number;
}

export interface Results {
  machine: { processors: number; kernel: string; date: string };
  versions: Record<string, string>;
  values: Value[];
  /** What readers of the tables need to know of this run. */
  notes: string[];
  failures: string[];
}

export function median(values: number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

export function medianOf(values: Value[]): number {
  return median(values.map(({ value }) => value));
}

/** How often `others` go into `own`: taken within each round, and the median of that; `null`: they share no round. */
export function compare(own: Value[], others: Value[]): number | null {
  const ratios = own.flatMap(({ round, value }) => {
    const other = others.find((each) => each.round === round);
    return other === undefined || other.value === 0 ? [] : [value / other.value];
  });
  return ratios.length === 0 ? null : median(ratios);
}

const peers = ["nginx", "HAProxy", "Envoy"];

/** Markdown: a table for each unit, a row for each thing measured, a column for each proxy and two of ratios. */
export function markdown(results: Results, scenarios: Scenario[]): string {
  const parts: string[] = [];
  for (const [table, heading] of Object.entries(headings)) {
    const values = results.values.filter((value) => value.table === table);
    if (values.length === 0) continue;
    const columns = [...peers, "skiff"].filter((name) => values.some(({ proxy }) => proxy === name));
    const rivals = columns.filter((name) => name === "nginx" || name === "Envoy");
    parts.push(
      `${heading}:\n`,
      cells(["scenario", "", ...columns, ...rivals.map((name) => `skiff ÷ ${name}`)]),
      cells(["---", "---", ...columns.map(() => "---:"), ...rivals.map(() => "---:")]),
    );
    for (const group of Map.groupBy(values, ({ scenario, row }) => `${scenario} ${row}`).values()) {
      const of = (name: string) => group.filter(({ proxy }) => proxy === name);
      const title = scenarios.find(({ letter }) => letter === group[0].scenario)?.title ?? "";
      parts.push(cells([
        `(${group[0].scenario}) ${title}`,
        group[0].row,
        ...columns.map((name) => of(name).length === 0 ? "" : number(medianOf(of(name)))),
        ...rivals.map((name) => compare(of("skiff"), of(name))?.toFixed(2) ?? ""),
      ]));
    }
    parts.push("");
  }
  return [...parts, ...results.notes].join("\n");
}

function number(value: number): string {
  return value >= 1000 ? value.toFixed(0) : value >= 10 ? value.toFixed(1) : value.toFixed(2);
}

function cells(texts: string[]): string {
  return `| ${texts.join(" | ")} |`;
}
