import assert from "node:assert/strict";
import fc from "fast-check";
import { DurationError, parseDuration } from "./duration.ts";

Deno.test("reads Go's durations as milliseconds", () => {
  const cases: Record<string, number> = {
    "0": 0,
    "0s": 0,
    "1ms": 1,
    "2s": 2000,
    "0.5s": 500,
    ".5s": 500,
    "1.s": 1000,
    "1.001s": 1001,
    "1h30m": 5_400_000,
    "1h2m3s4ms": 3_723_004,
    "1m1m": 120_000,
    "100us": 0.1,
    "100µs": 0.1,
    "1ns": 1e-6,
  };
  for (const [text, milliseconds] of Object.entries(cases)) assert.equal(parseDuration(text), milliseconds, text);
});

Deno.test("refuses what Go refuses, signs and absurd lengths", () => {
  for (
    const text of ["", "1", "s", "1 s", "-1s", "+1s", "1S", "1d", "1e3s", ".s", "1..s", "0x1s", "1s ", "9999999999h"]
  ) {
    assert.throws(() => parseDuration(text), DurationError, text);
  }
  assert.throws(() => parseDuration("1s".repeat(100)), DurationError);
});

Deno.test("every whole number of milliseconds comes back exactly", () => {
  fc.assert(fc.property(fc.nat(86_400_000), (length) => {
    assert.equal(parseDuration(`${length}ms`), length);
    assert.equal(parseDuration(`${Math.floor(length / 1000)}.${String(length % 1000).padStart(3, "0")}s`), length);
  }));
});
