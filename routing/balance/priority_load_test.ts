import assert from "node:assert/strict";
import fc from "fast-check";
import {
  drawPriority,
  effectiveLocalityWeight,
  type PriorityOptions,
  priorityShares,
  sharesOfOthers,
} from "./priority_load.ts";

/** Loads in percent, `!` behind those that panic, of priorities given as `[available, total]`. */
function shares(levels: [number, number][], options: Partial<PriorityOptions> = {}): string {
  return priorityShares(levels.map(([available, total]) => ({ available, total })), {
    overprovisioningFactor: 140,
    panicThreshold: 50,
    ...options,
  }).map(({ load, panic }) => `${load}${panic ? "!" : ""}`).join(" ");
}

Deno.test("two priorities share the load as in the table of Envoy's documentation", () => {
  const percent = (first: number, second: number) => shares([[first, 100], [second, 100]], { panicThreshold: 0 });
  assert.equal(percent(100, 100), "100 0");
  assert.equal(percent(72, 100), "100 0");
  assert.equal(percent(71, 100), "99 1");
  assert.equal(percent(50, 100), "70 30");
  assert.equal(percent(25, 100), "35 65");
  assert.equal(percent(0, 100), "0 100");
  assert.equal(percent(25, 25), "50 50");
});

Deno.test("three priorities share the load as in the table of Envoy's documentation", () => {
  const percent = (...levels: number[]) => shares(levels.map((one) => [one, 100]), { panicThreshold: 0 });
  assert.equal(percent(100, 100, 100), "100 0 0");
  assert.equal(percent(72, 72, 100), "100 0 0");
  assert.equal(percent(71, 71, 100), "99 1 0");
  assert.equal(percent(50, 50, 100), "70 30 0");
  assert.equal(percent(25, 100, 100), "35 65 0");
  assert.equal(percent(25, 25, 100), "35 35 30");
  assert.equal(percent(25, 25, 20), "37 35 28");
});

Deno.test("a priority panics when few are available, unless the others can carry everything", () => {
  assert.equal(shares([[25, 100], [100, 100]]), "35 65");
  assert.equal(shares([[25, 100], [40, 100]]), "50! 50!");
  assert.equal(shares([[5, 100], [55, 100]]), "9! 91");
  assert.equal(shares([[10, 100]]), "100!");
  assert.equal(shares([[10, 100]], { panicThreshold: 0 }), "100");
});

Deno.test("with every priority in panic, load goes by the number of hosts", () => {
  assert.equal(shares([[1, 10], [1, 30]]), "25! 75!");
  assert.equal(shares([[0, 0], [1, 3], [1, 6]]), "0! 34! 66!");
});

Deno.test("with nothing available all goes to the first priority", () => {
  assert.equal(shares([[0, 3], [0, 3]]), "100! 0");
  assert.equal(shares([[0, 3], [0, 3]], { panicThreshold: 0 }), "100 0");
});

Deno.test("the shares always sum up to 100, and every draw falls to a priority with load", () => {
  const level = fc.tuple(fc.nat(20), fc.nat(20)).map(([one, other]) => ({
    available: Math.min(one, other),
    total: Math.max(one, other),
  }));
  fc.assert(
    fc.property(
      fc.array(level, { minLength: 1, maxLength: 6 }),
      fc.integer({ min: 100, max: 300 }),
      fc.integer({ min: 0, max: 100 }),
      (levels, overprovisioningFactor, panicThreshold) => {
        const result = priorityShares(levels, { overprovisioningFactor, panicThreshold });
        assert.equal(result.reduce((sum, { load }) => sum + load, 0), 100);
        for (let draw = 0; draw < 100; draw++) assert.ok(result[drawPriority(result, draw)].load > 0);
      },
    ),
  );
});

Deno.test("priorities that are left get nothing, unless no other has hosts to choose", () => {
  const levels = [3, 2, 0].map((available) => ({ total: 3, available }));
  const without = (...left: number[]) =>
    sharesOfOthers(levels, { overprovisioningFactor: 140, panicThreshold: 50 }, new Set(left))
      ?.map(({ load }) => load);
  assert.deepEqual(without(0), [0, 100, 0]);
  assert.deepEqual(without(1), [100, 0, 0]);
  assert.equal(without(0, 1), undefined);
});

Deno.test("a locality keeps its weight until overprovisioning is used up", () => {
  const of = (available: number) => effectiveLocalityWeight(10, { total: 100, available }, 140);
  assert.equal(of(100), 10);
  assert.equal(of(72), 10);
  assert.equal(of(50), 7);
  assert.equal(of(0), 0);
  assert.equal(effectiveLocalityWeight(10, { total: 0, available: 0 }, 140), 0);
});
