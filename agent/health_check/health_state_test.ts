import assert from "node:assert/strict";
import { type CheckResult, HealthState } from "./health_state.ts";

/** `+` or `-` after each result: `.` passed, `n` refused, `x` unreachable. */
function history(results: string, healthy = false): string {
  const state = new HealthState({ healthyThreshold: 2, unhealthyThreshold: 3 }, healthy);
  const meaning: Record<string, CheckResult> = { ".": "passed", "n": "refused", "x": "unreachable" };
  return [...results].map((result) => {
    state.take(meaning[result]);
    return state.healthy ? "+" : "-";
  }).join("");
}

Deno.test("the first success is enough, later ones are counted", () => {
  assert.equal(history("."), "+");
  assert.equal(history("x.."), "--+");
  assert.equal(history("x.x.."), "----+");
});

Deno.test("silence counts up, an answer that says no counts at once", () => {
  assert.equal(history(".xxx"), "+++-");
  assert.equal(history(".xx.xxx"), "++++++-");
  assert.equal(history(".n"), "+-");
  assert.equal(history("xx.", true), "+++");
});

Deno.test("a change is told, and so is the first result", () => {
  const state = new HealthState({ healthyThreshold: 1, unhealthyThreshold: 2 });
  assert.equal(state.take("unreachable"), true);
  assert.equal(state.take("unreachable"), false);
  assert.equal(state.take("passed"), true);
  assert.equal(state.take("unreachable"), false);
  assert.equal(state.atEdge, true);
  assert.equal(state.take("unreachable"), true);
  assert.equal(state.atEdge, false);
});
