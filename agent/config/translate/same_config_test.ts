import assert from "node:assert/strict";
import { sameConfig } from "./same_config.ts";

Deno.test("compares configuration by content", () => {
  const config = () => ({ a: [1, { b: null }], c: { d: "x" } });
  assert.ok(sameConfig(config(), config()));
  assert.ok(sameConfig({ a: 1, b: 2 }, { b: 2, a: 1 }));
  assert.ok(sameConfig({ a: 1, b: undefined }, { a: 1 }));
  assert.ok(!sameConfig({ a: 1, b: undefined }, { a: 1, c: 2 }));
  assert.ok(!sameConfig(config(), { ...config(), c: { d: "y" } }));
  assert.ok(!sameConfig([1, 2], [2, 1]));
  assert.ok(!sameConfig([1], [1, 2]));
  assert.ok(!sameConfig([], {}));
  assert.ok(!sameConfig(null, {}));
  assert.ok(!sameConfig(1, "1"));
});
