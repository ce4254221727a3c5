import assert from "node:assert/strict";
import type { HeaderMutation } from "../config/model.ts";
import { writeKept } from "../decode/field_lines.ts";
import { ByteQueue, SlabPool } from "../worker/buffers.ts";
import { CompiledMutation } from "./header_mutation.ts";
import { request } from "./testdata/request.ts";

function applied(mutation: Partial<HeaderMutation>, ...headers: string[]): string[] {
  const compiled = new CompiledMutation({ set: [], remove: [], ...mutation });
  const { fields } = request("GET /", ...headers);
  const out = new ByteQueue(new SlabPool());
  compiled.drop(fields);
  writeKept(out, fields);
  compiled.append(fields, out);
  const lines = new TextDecoder().decode(out.bytes.subarray(out.start, out.end)).split("\r\n");
  assert.equal(lines.pop(), "");
  return lines.filter((line) => !line.startsWith("host:"));
}

Deno.test("append adds to what is there", () => {
  const set = [{ name: "X-A", value: "2", mode: "append" as const }];
  assert.deepEqual(applied({ set }, "X-A: 1"), ["x-a: 1", "x-a: 2"]);
  assert.deepEqual(applied({ set }), ["x-a: 2"]);
});

Deno.test("overwrite replaces every occurrence", () => {
  const set = [{ name: "x-a", value: "3", mode: "overwrite" as const }];
  assert.deepEqual(applied({ set }, "X-A: 1", "B: b", "X-a: 2"), ["b: b", "x-a: 3"]);
});

Deno.test("addIfAbsent leaves what is there, and counts what is removed as absent", () => {
  const set = [{ name: "x-a", value: "2", mode: "addIfAbsent" as const }];
  assert.deepEqual(applied({ set }, "X-A: 1"), ["x-a: 1"]);
  assert.deepEqual(applied({ set }), ["x-a: 2"]);
  assert.deepEqual(applied({ set, remove: ["X-A"] }, "X-A: 1"), ["x-a: 2"]);
});

Deno.test("removal takes every occurrence in any case, and no longer name", () => {
  assert.deepEqual(applied({ remove: ["X-A"] }, "x-a: 1", "X-AB: 2", "X-A: 3"), ["x-ab: 2"]);
});

Deno.test("an authority is set apart from the headers", () => {
  for (const name of ["Host", ":authority"]) {
    const set = [{ name, value: "b", mode: "overwrite" as const }];
    assert.deepEqual(applied({ set }), []);
    assert.equal(new TextDecoder().decode(new CompiledMutation({ set, remove: [] }).authority!), "b");
  }
  assert.equal(new CompiledMutation({ set: [], remove: [] }).authority, null);
});
