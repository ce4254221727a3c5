import assert from "node:assert/strict";
import { BoundedLoad } from "./bounded_load.ts";
import { HashRing } from "./consistent_hash.ts";
import { Hash64 } from "./xx_hash.ts";

function hashed(weights: Record<string, number>, factor: number) {
  const hosts = Object.entries(weights).map(([host, weight]) => ({ host, key: host, weight }));
  const active: Record<string, number> = Object.fromEntries(hosts.map(({ host }) => [host, 0]));
  const ring = new HashRing(hosts, { minimumSize: 1024, maximumSize: 4096, hashFunction: "XX_HASH" });
  const bounded = new BoundedLoad(hosts, ring, factor, {
    ofHost: (host) => active[host],
    ofCluster: () => Object.values(active).reduce((sum, one) => sum + one, 0),
  });
  const key = new Hash64();
  key.high = 0x12345678;
  key.low = 0x9abcdef0;
  return { active, key, ring, bounded };
}

Deno.test("without load the ring decides", () => {
  const { key, ring, bounded } = hashed({ a: 1, b: 1, c: 1 }, 150);
  for (let i = 0; i < 50; i++) {
    key.high = i * 80_000_000;
    assert.equal(bounded.find(key, 0), ring.find(key, 0));
  }
});

Deno.test("requests of one key spread once its host has its share, and none gets much more than that", () => {
  const { active, key, bounded } = hashed({ a: 1, b: 1, c: 1, d: 1 }, 150);
  for (let i = 0; i < 400; i++) active[bounded.find(key, 0)]++;
  for (const [host, count] of Object.entries(active)) assert.ok(count <= 152, `${host}: ${count}`);
  assert.equal(Object.values(active).filter((count) => count > 0).length >= 3, true, JSON.stringify(active));
});

Deno.test("the same key tries the others in the same order", () => {
  const { active, key, ring, bounded } = hashed({ a: 1, b: 1, c: 1, d: 1 }, 100);
  active[ring.find(key, 0)] = 40;
  const next = bounded.find(key, 0);
  assert.notEqual(next, ring.find(key, 0));
  for (let i = 0; i < 10; i++) assert.equal(bounded.find(key, 0), next);
});

Deno.test("a host of more weight may have more", () => {
  const { active, key, bounded } = hashed({ heavy: 3, light: 1 }, 100);
  for (let i = 0; i < 400; i++) active[bounded.find(key, 0)]++;
  assert.ok(Math.abs(active.heavy - 300) <= 3, JSON.stringify(active));
});
