import assert from "node:assert/strict";
import { type HashedHost, HashRing, type HashTable, MaglevTable, type RingOptions } from "./consistent_hash.ts";
import { Hash64, xxHash64 } from "./xx_hash.ts";

type Host = HashedHost<string>;

function hostsOf(...weights: number[]): Host[] {
  return weights.map((weight, i) => ({ host: `h${i}`, key: `127.0.0.${i + 1}:9080`, weight }));
}

const ringOptions: RingOptions = { minimumSize: 1024, maximumSize: 8 * 1024 * 1024, hashFunction: "XX_HASH" };
const tables: Record<string, (hosts: Host[]) => HashTable<string>> = {
  "the ring": (hosts) => new HashRing(hosts, ringOptions),
  "the ring by Murmur hashes": (hosts) => new HashRing(hosts, { ...ringOptions, hashFunction: "MURMUR_HASH_2" }),
  "Maglev": (hosts) => new MaglevTable(hosts, 65537),
};

const keys = Array.from({ length: 20_000 }, (_, i) => {
  const key = new Hash64();
  const bytes = new TextEncoder().encode(`key ${i}`);
  xxHash64(bytes, 0, bytes.length, key);
  return key;
});

/** The part of all keys that goes to each host: nothing here is random, so that bounds cannot be missed by chance. */
function shares(table: HashTable<string>): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const key of keys) counts[table.find(key, 0)] = (counts[table.find(key, 0)] ?? 0) + 1 / keys.length;
  return counts;
}

for (const [name, tableOf] of Object.entries(tables)) {
  // A ring of 1,024 hashes spreads less evenly than Maglev does.
  const tolerance = name === "Maglev" ? 0.06 : 0.25;

  Deno.test(`${name} spreads keys evenly over equal hosts`, () => {
    const found = shares(tableOf(hostsOf(1, 1, 1, 1, 1)));
    assert.equal(Object.keys(found).length, 5);
    for (const share of Object.values(found)) assert.ok(Math.abs(share - 0.2) < 0.2 * tolerance, String(share));
  });

  Deno.test(`${name} spreads keys by weight`, () => {
    const found = shares(tableOf(hostsOf(1, 2, 5)));
    [1, 2, 5].forEach((weight, i) => {
      assert.ok(Math.abs(found[`h${i}`] - weight / 8) < weight / 8 * tolerance, `h${i}: ${found[`h${i}`]}`);
    });
  });

  Deno.test(`${name} moves few keys when a host goes`, () => {
    const hosts = hostsOf(1, 1, 1, 1, 1);
    const before = tableOf(hosts);
    const after = tableOf(hosts.filter(({ host }) => host !== "h2"));
    let moved = 0;
    for (const key of keys) {
      const was = before.find(key, 0);
      if (was !== "h2" && after.find(key, 0) !== was) moved++;
    }
    // On a ring the others get more hashes, which take keys from each other; a plain remainder would move 80 %.
    assert.ok(moved < keys.length * (name === "Maglev" ? 0.05 : 0.12), String(moved));
  });

  Deno.test(`${name} does not depend on the order of hosts`, () => {
    const hosts = hostsOf(1, 3, 2);
    const one = tableOf(hosts);
    const other = tableOf([hosts[0], hosts[1], hosts[2]].toReversed());
    // With weights a ring's last partial hash may differ.
    const differing = keys.filter((key) => one.find(key, 0) !== other.find(key, 0)).length;
    assert.ok(differing < keys.length * 0.01, String(differing));
  });

  Deno.test(`${name} gives other hosts on further attempts`, () => {
    const table = tableOf(hostsOf(1, 1, 1));
    for (const key of keys.slice(0, 200)) {
      const found = new Set(Array.from({ length: 60 }, (_, attempt) => table.find(key, attempt)));
      assert.ok(found.size > 1);
    }
  });
}

Deno.test("a ring has at least as many hashes as asked for, and whole ones for the lightest host", () => {
  assert.equal(new HashRing(hostsOf(1), ringOptions).size, 1024);
  assert.equal(new HashRing(hostsOf(1, 1, 1), ringOptions).size, 1026);
  assert.equal(new HashRing(hostsOf(1, 99), { ...ringOptions, minimumSize: 10 }).size, 100);
  assert.equal(new HashRing(hostsOf(1, 99), { ...ringOptions, minimumSize: 10, maximumSize: 50 }).size, 50);
});

Deno.test("a key finds the next hash of the ring, the first one after the last", () => {
  const ring = new HashRing(hostsOf(1, 1, 1, 1), { ...ringOptions, minimumSize: 4 });
  const points = hostsOf(1, 1, 1, 1).map(({ host, key }) => {
    const hash = new Hash64();
    const bytes = new TextEncoder().encode(`${key}_0`);
    xxHash64(bytes, 0, bytes.length, hash);
    return { host, hash };
  }).sort((one, other) => one.hash.toString() < other.hash.toString() ? -1 : 1);
  const key = new Hash64();
  points.forEach(({ host, hash }, i) => {
    assert.equal(ring.find(hash, 0), host);
    assert.equal(ring.find(hash, 1), points[(i + 1) % 4].host);
  });
  key.high = key.low = 0xffffffff;
  assert.equal(ring.find(key, 0), points[0].host);
});
