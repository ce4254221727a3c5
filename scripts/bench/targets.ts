/** What the project holds its data plane to, and whether a run met it. */
import { compare, medianOf, type Results, type Table, type Value } from "./report.ts";

export interface Target {
  scenario: string;
  table: Table;
  /** All rows of the table where it is missing. */
  row?: string;
  /** Compared with this proxy, or with another row of skiff's own; absent: the value itself is. */
  against?: { proxy: string } | { row: string };
  limit: number;
  /** At least, instead of at most. */
  atLeast?: boolean;
}

const nginx = { proxy: "nginx" };
const envoy = { proxy: "Envoy" };

export const targets: Target[] = [
  { scenario: "a", table: "µs/request", against: nginx, limit: 1 },
  { scenario: "a", table: "µs/request", against: envoy, limit: 0.5 },
  { scenario: "b", table: "µs/request", against: nginx, limit: 1.1 },
  { scenario: "b", table: "µs/request", against: envoy, limit: 0.5 },
  { scenario: "c", table: "µs/request", row: "8 connections", against: nginx, limit: 0.9 },
  { scenario: "c", table: "µs/request", row: "32 connections", against: nginx, limit: 0.6 },
  { scenario: "c", table: "µs/request", row: "128 connections", against: nginx, limit: 0.5 },
  { scenario: "c", table: "µs/request", against: envoy, limit: 0.33 },
  { scenario: "e", table: "µs/request", against: envoy, limit: 1 },
  { scenario: "f", table: "µs/request", against: envoy, limit: 1 },
  { scenario: "g", table: "MiB/CPU second", against: nginx, limit: 1, atLeast: true },
  ...["a", "b", "c"].map((scenario): Target => ({ scenario, table: "ms", against: nginx, limit: 1.25 })),
  {
    scenario: "h",
    table: "µs/request",
    row: "10 requests/s, idle taken off",
    against: { row: "1000 requests/s, idle taken off" },
    limit: 1,
  },
  { scenario: "i", table: "KiB", against: envoy, limit: 1 },
  { scenario: "j", table: "MiB", row: "1 data thread", limit: 90 },
  { scenario: "j", table: "MiB", row: "2 data threads", limit: 90 },
  { scenario: "k", table: "×", limit: 1.8, atLeast: true },
  { scenario: "scale", table: "control plane, ms", row: "1000 services: first agent, processor", limit: 1_000 },
  { scenario: "scale", table: "control plane, ms", row: "1000 services: one endpoint changed, p99", limit: 500 },
  { scenario: "scale", table: "MiB", row: "1000 services: all connected", limit: 500 },
  {
    scenario: "scale",
    table: "control plane, ms",
    row: "5000 services: first agent, processor",
    against: { row: "1000 services: first agent, processor" },
    limit: 6,
  },
];

/** A line for each row that a target is for and that was measured, such as `met: (a) … at most 1 × nginx, 0.94`. */
export function judge(results: Results): string[] {
  return targets.flatMap((target) => {
    const own = results.values.filter(({ proxy, scenario, table, row }) =>
      proxy === "skiff" && scenario === target.scenario && table === target.table && row === (target.row ?? row)
    );
    return [...Map.groupBy(own, ({ row }) => row)].flatMap(([row, values]) => judgeRow(results, target, row, values));
  });
}

function judgeRow(results: Results, target: Target, row: string, own: Value[]): string[] {
  const measured = measure(results, target, own);
  if (measured === null) return [];
  const met = target.atLeast ? measured >= target.limit : measured <= target.limit;
  const unit = target.against === undefined
    ? target.table
    : `× ${"proxy" in target.against ? target.against.proxy : target.against.row}`;
  const bound = `${target.atLeast ? "at least" : "at most"} ${target.limit} ${unit}`;
  const [title, what] = [`(${target.scenario}) ${row}`, target.against === undefined ? "" : `${target.table}, `];
  return [`${met ? "met" : "MISSED"}: ${title}: ${what}target ${bound}, measured ${measured.toFixed(2)}`];
}

function measure(results: Results, { against }: Target, own: Value[]): number | null {
  if (against === undefined) return medianOf(own);
  const others = results.values.filter(({ scenario, table, row, proxy }) =>
    scenario === own[0].scenario && table === own[0].table &&
    ("proxy" in against ? proxy === against.proxy && row === own[0].row : proxy === "skiff" && row === against.row)
  );
  return compare(own, others);
}
