import assert from "node:assert/strict";
import fc from "fast-check";
import { drawHost, type HostSet, hostSet, leastRequest, RoundRobin } from "./host_set.ts";

interface Host {
  name: string;
  weight: number;
}

function setOf(...weights: number[]): HostSet<Host> {
  return hostSet(weights.map((weight, i) => ({ name: `h${i}`, weight })));
}

function counts(draws: number, draw: (i: number) => Host): Record<string, number> {
  const result: Record<string, number> = {};
  for (let i = 0; i < draws; i++) {
    const { name } = draw(i);
    result[name] = (result[name] ?? 0) + 1;
  }
  return result;
}

Deno.test("drawing over the whole range gives every host its share exactly", () => {
  assert.deepEqual(counts(300, (i) => drawHost(setOf(1, 1, 1), i / 300)), { h0: 100, h1: 100, h2: 100 });
  assert.deepEqual(counts(600, (i) => drawHost(setOf(1, 2, 3), i / 600)), { h0: 100, h1: 200, h2: 300 });
});

Deno.test("the ends of the range draw the first and the last host", () => {
  for (const set of [setOf(1, 1, 1), setOf(5, 1, 3)]) {
    assert.equal(drawHost(set, 0).name, "h0");
    assert.equal(drawHost(set, 1 - Number.EPSILON / 2).name, "h2");
  }
});

Deno.test("whatever the weights and the draw, a host of the set comes out, and none of weight 0", () => {
  fc.assert(
    fc.property(
      fc.array(fc.nat(1000), { minLength: 1, maxLength: 20 }).filter((weights) => weights.some((weight) => weight > 0)),
      fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }),
      (weights, random) => assert.ok(drawHost(setOf(...weights), random).weight > 0),
    ),
  );
});

Deno.test("round robin takes equal hosts strictly in turn, from wherever it starts", () => {
  const set = setOf(1, 1, 1);
  const order = (start: number) => {
    const robin = new RoundRobin<Host>();
    return Array.from({ length: 6 }, () => robin.next(set, start).name).join(" ");
  };
  assert.equal(order(0), "h0 h1 h2 h0 h1 h2");
  assert.equal(order(0.5), "h1 h2 h0 h1 h2 h0");
  assert.equal(order(0.999), "h2 h0 h1 h2 h0 h1");
});

Deno.test("weighted round robin is exact over a turn and spreads heavy hosts out", () => {
  const robin = new RoundRobin<Host>();
  const set = setOf(5, 1, 1);
  const names = Array.from({ length: 14 }, () => robin.next(set, 0).name);
  assert.deepEqual(names.slice(0, 7), ["h0", "h0", "h1", "h0", "h2", "h0", "h0"]);
  assert.deepEqual(names.slice(7), names.slice(0, 7));
});

Deno.test("round robin goes on with a new set", () => {
  const robin = new RoundRobin<Host>();
  robin.next(setOf(1, 1, 1), 0.9);
  assert.deepEqual(counts(4, () => robin.next(setOf(1), 0.9)), { h0: 4 });
});

Deno.test("least request takes the one with the fewest requests of so many draws", () => {
  const { hosts } = setOf(1, 1, 1);
  const load = new Map([["h0", 5], ["h1", 4], ["h2", 3]]);
  const chosen = (...draws: number[]) => {
    let at = 0;
    return leastRequest(hosts, ({ name }) => load.get(name)!, draws.length, () => draws[at++]).name;
  };
  assert.equal(chosen(0, 0.5), "h1");
  assert.equal(chosen(0.5, 0), "h1");
  assert.equal(chosen(0, 0.1), "h0", "both draws gave the same host");
  assert.equal(chosen(0, 0.5, 0.9), "h2");
  load.set("h1", 5);
  assert.equal(chosen(0, 0.5), "h0", "equal load: the first draw");
});
