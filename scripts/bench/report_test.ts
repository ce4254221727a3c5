import assert from "node:assert/strict";
import { markdown, median, type Results, type Sample } from "./report.ts";

function sample(proxy: string, round: number, microsecondsPerRequest: number): Sample {
  return {
    scenario: "plaintext",
    proxy,
    connections: 8,
    round,
    requestsPerSecond: 1000,
    microsecondsPerRequest,
    errors: 0,
  };
}

function results(samples: Sample[], reached: number): Results {
  return {
    machine: { processors: 2, kernel: "", date: "" },
    versions: {},
    samples,
    rates: [{
      scenario: "plaintext",
      proxy: "skiff",
      connections: 32,
      p50: 1,
      p99: 2,
      p999: 3,
      offered: 1000,
      reached,
      errors: 0,
    }],
    memory: [{ scenario: "plaintext", proxy: "skiff", kibibytes: 2048 }],
    failures: [],
  };
}

Deno.test("a median is the middle value, or the mean of the two", () => {
  assert.equal(median([3, 1, 2]), 2);
  assert.equal(median([4, 1, 2, 3]), 2.5);
});

Deno.test("ratios are taken within a round, so that a machine that slows down does not show in them", () => {
  const samples = [1, 2, 10].flatMap((pace, round) => [
    sample("nginx", round, 10 * pace),
    sample("skiff", round, 5 * pace),
  ]);
  const table = markdown(results(samples, 1000));
  assert.match(table, /\| \(a\) one plaintext hop \| 8 \| skiff \| 10\.0 \| 0\.50 \| 1000 \|/);
  assert.match(table, /\| \(a\) one plaintext hop \| 1000 \| 32 \| skiff \| 1\.00 \| 2\.00 \| 3\.00 \| 2 \|/);
});

Deno.test("a proxy that did not keep up with the fixed rate is shown with what it reached", () => {
  assert.match(markdown(results([], 700)), /\| 700 of 1000 \| 32 \| skiff \|/);
});
