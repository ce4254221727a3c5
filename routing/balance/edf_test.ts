import assert from "node:assert/strict";
import { EdfScheduler } from "./edf.ts";
import { slowStartFactor } from "./slow_start.ts";

function counts(weights: Record<string, number>, turns: number): Record<string, number> {
  const scheduler = new EdfScheduler(Object.keys(weights), (name) => weights[name], () => 0.5);
  const result: Record<string, number> = {};
  for (let i = 0; i < turns; i++) {
    const name = scheduler.next();
    result[name] = (result[name] ?? 0) + 1;
  }
  return result;
}

Deno.test("every host has turns in proportion to its weight", () => {
  assert.deepEqual(counts({ a: 1 }, 5), { a: 5 });
  assert.deepEqual(counts({ a: 1, b: 1, c: 1 }, 300), { a: 100, b: 100, c: 100 });
  assert.deepEqual(counts({ a: 5, b: 2, c: 1, d: 0.5 }, 850), { a: 500, b: 200, c: 100, d: 50 });
});

Deno.test("a weight that changes counts from the host's next turn on", () => {
  let weight = 1;
  const scheduler = new EdfScheduler(["a", "b"], (name) => name === "a" ? weight : 1, () => 0);
  for (let i = 0; i < 10; i++) scheduler.next();
  weight = 3;
  const turns = Array.from({ length: 400 }, () => scheduler.next()).filter((name) => name === "a").length;
  assert.ok(Math.abs(turns - 300) <= 2, String(turns));
});

Deno.test("a new host warms up linearly, or as fast as the aggression says", () => {
  const factor = (age: number, aggression = 1) =>
    slowStartFactor(age, { window: 1000, aggression, minimumWeightPercent: 10 });
  assert.equal(factor(0), 0.1);
  assert.equal(factor(500), 0.5);
  assert.equal(factor(1000), 1);
  assert.equal(factor(5000), 1);
  assert.equal(factor(250, 2), 0.5);
  assert.equal(factor(500, 0.5), 0.25);
});
