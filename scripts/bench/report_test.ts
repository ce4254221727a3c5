import assert from "node:assert/strict";
import { markdown, median, type Results, type Value } from "./report.ts";
import { requestScenarios } from "./scenarios/requests.ts";
import { judge } from "./targets.ts";

function value(proxy: string, round: number, cost: number): Value {
  return { scenario: "a", table: "µs/request", row: "8 connections", proxy, round, value: cost };
}

function results(values: Value[]): Results {
  return { machine: { processors: 2, kernel: "", date: "" }, versions: {}, values, notes: [], failures: [] };
}

/** A machine that slows down from round to round. */
const slowing = [1, 2, 10].flatMap((pace, round) => [
  value("nginx", round, 10 * pace),
  value("Envoy", round, 50 * pace),
  value("skiff", round, 11 * pace),
]);

Deno.test("a median is the middle value, or the mean of the two", () => {
  assert.equal(median([3, 1, 2]), 2);
  assert.equal(median([4, 1, 2, 3]), 2.5);
});

Deno.test("ratios are taken within a round, so that a machine that slows down does not show in them", () => {
  const table = markdown(results(slowing), requestScenarios);
  assert.match(table, /\| skiff ÷ nginx \| skiff ÷ Envoy \|/);
  assert.match(table, /\| \(a\) one plaintext hop \| 8 connections \| 20\.0 \| 100\.0 \| 22\.0 \| 1\.10 \| 0\.22 \|/);
});

Deno.test("a proxy that was left out has no column, and no target against it is judged", () => {
  const without = results(slowing.filter(({ proxy }) => proxy !== "Envoy"));
  assert.doesNotMatch(markdown(without, requestScenarios), /Envoy/);
  assert.deepEqual(judge(without), [
    "MISSED: (a) 8 connections: µs/request, target at most 1 × nginx, measured 1.10",
  ]);
});

Deno.test("a target says whether it was met, by how much", () => {
  assert.deepEqual(judge(results(slowing)), [
    "MISSED: (a) 8 connections: µs/request, target at most 1 × nginx, measured 1.10",
    "met: (a) 8 connections: µs/request, target at most 0.5 × Envoy, measured 0.22",
  ]);
});

Deno.test("a target without a peer is judged by the value itself", () => {
  const memory: Value = { scenario: "j", table: "MiB", row: "1 data thread", proxy: "skiff", round: 0, value: 95 };
  assert.deepEqual(judge(results([memory])), ["MISSED: (j) 1 data thread: target at most 90 MiB, measured 95.00"]);
});
