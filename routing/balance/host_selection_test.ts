import assert from "node:assert/strict";
import { HostSelection, type LocalityHosts, type SelectionOptions } from "./host_selection.ts";
import { Hash64 } from "./xx_hash.ts";

const options: SelectionOptions = {
  overprovisioningFactor: 140,
  panicThreshold: 0,
  localityWeighted: false,
  keyed: false,
};

interface Host {
  name: string;
  weight: number;
}

/** A locality of hosts by name; those with `!` are not available. */
function locality(names: string, weight = 1): LocalityHosts<Host> {
  const all = names.split(" ").map((name) => ({ name, weight: 1 }));
  return { weight, all, available: all.filter(({ name }) => !name.endsWith("!")) };
}

/** How often each host is chosen in draws that cover the range evenly; pickers take their hosts in turn. */
function shares(levels: LocalityHosts<Host>[][], more: Partial<SelectionOptions> = {}): Record<string, number> {
  const draws: number[] = [];
  // Priorities and localities are drawn from evenly spaced numbers: every pair of hundredths once.
  for (let i = 0; i < 100; i++) for (let j = 0; j < 100; j++) draws.push((i + 0.5) / 100, (j + 0.5) / 100);
  const counts: Record<string, number> = {};
  let at = 0;
  const turn = new Map<readonly Host[], number>();
  const selection = new HostSelection(levels, { ...options, ...more }, (hosts) => ({
    pick: () => {
      const next = turn.get(hosts) ?? 0;
      turn.set(hosts, next + 1);
      return hosts[next % hosts.length];
    },
  }), () => draws[at++ % draws.length]);
  for (let i = 0; i < 10_000; i++) {
    // Each choice takes two numbers, whether it needs both or not.
    at = 2 * i;
    const name = selection.choose(null, 0)?.name ?? "none";
    counts[name] = (counts[name] ?? 0) + 1;
  }
  return counts;
}

Deno.test("one priority shares out its available hosts", () => {
  assert.deepEqual(shares([[locality("a b!"), locality("c")]]), { a: 5000, c: 5000 });
});

Deno.test("a failing priority spills over to the next", () => {
  assert.deepEqual(shares([[locality("a b!")], [locality("c")]]), { a: 7000, c: 3000 });
});

Deno.test("without priorities, hosts or health there is nobody", () => {
  assert.deepEqual(shares([]), { none: 10_000 });
  assert.deepEqual(shares([[]]), { none: 10_000 });
  assert.deepEqual(shares([[locality("a! b!")]]), { none: 10_000 });
});

Deno.test("in panic unhealthy hosts are chosen too, whatever the localities' weights", () => {
  const levels = [[locality("a b!", 9), locality("c! d!", 1)]];
  assert.deepEqual(shares(levels, { panicThreshold: 50, localityWeighted: true }), {
    a: 2500,
    "b!": 2500,
    "c!": 2500,
    "d!": 2500,
  });
});

Deno.test("localities share by weight, and less as they lose hosts", () => {
  const weighted = { localityWeighted: true };
  assert.deepEqual(shares([[locality("a", 80), locality("b", 20)]], weighted), { a: 8000, b: 2000 });
  // 60 × 1.4 × ½ = 42 against 58 of 100.
  assert.deepEqual(shares([[locality("a c!", 60), locality("b d", 58)]], weighted), { a: 4200, b: 2900, d: 2900 });
  assert.deepEqual(shares([[locality("a!", 60), locality("b", 40)]], weighted), { b: 10_000 });
  assert.deepEqual(shares([[locality("a", 0), locality("b", 0)]], weighted), { a: 5000, b: 5000 });
});

Deno.test("with keys a key decides the priority, and localities share out one table", () => {
  const made: { names: string; weights: readonly number[] | null }[] = [];
  const selection = new HostSelection(
    [[locality("a b", 30), locality("c", 60), locality("d", 0)], [locality("e")]],
    { ...options, localityWeighted: true, keyed: true, overprovisioningFactor: 100 },
    (hosts, weights) => {
      made.push({ names: hosts.map(({ name }) => name).join(" "), weights });
      return { pick: () => hosts[0] };
    },
    () => 0,
  );
  assert.deepEqual(made, [{ names: "a b c", weights: [15, 15, 60] }, { names: "e", weights: [1] }]);
  const key = new Hash64();
  const chosen = new Set<string>();
  for (key.low = 0; key.low < 100; key.low++) chosen.add(selection.choose(key, 0)!.name);
  assert.deepEqual([...chosen], ["a"]);
  const half = new HostSelection(
    [[locality("a b!")], [locality("c")]],
    {
      ...options,
      keyed: true,
      overprovisioningFactor: 100,
    },
    (hosts) => ({ pick: () => hosts[0] }),
    () => 0,
  );
  const names = Array.from({ length: 100 }, (_, i) => {
    key.low = i;
    return half.choose(key, 0)!.name;
  });
  assert.deepEqual(names, [...Array(50).fill("a"), ...Array(50).fill("c")]);
});
