import assert from "node:assert/strict";
import { entryOf, type MapNode, type ScalarNode, type YamlNode } from "./node.ts";
import { parseYaml, yamlLimits } from "./parse.ts";

const problemsOf = (text: string) =>
  parseYaml(text).problems.map(({ position, message }) => `${position.line}:${position.column} ${message}`);

function valueAt(node: YamlNode, ...keys: string[]): YamlNode {
  return keys.reduce((at, key) => entryOf(at, key)!.value, node);
}

Deno.test("keeps line and column of every value, over several documents", () => {
  const { documents, problems } = parseYaml('a:\n  b: [1, x]\n---\n\n---\n{ "c": true }\n');
  assert.deepEqual(problems, []);
  assert.equal(documents.length, 2);
  assert.deepEqual(valueAt(documents[0], "a", "b").position, { line: 2, column: 6 });
  assert.deepEqual(valueAt(documents[1], "c"), {
    type: "scalar",
    value: true,
    source: "true",
    quoted: false,
    position: { line: 6, column: 8 },
  });
});

Deno.test("resolves anchors and merge keys, own keys first", () => {
  const [node] = parseYaml("base: &b { x: 1, y: 2 }\nuse: { <<: *b, y: 3 }\nlist: { <<: [*b, { z: 4 }] }\n").documents;
  const keys = (name: string) =>
    [...(valueAt(node, name) as MapNode).entries.values()].map(({ key, value }) => [key, (value as ScalarNode).value]);
  assert.deepEqual(keys("use"), [["y", 3], ["x", 1]]);
  assert.deepEqual(keys("list"), [["x", 1], ["y", 2], ["z", 4]]);
});

Deno.test("refuses keys that are written twice, that are no words, and __proto__", () => {
  assert.match(problemsOf("a: 1\nb: 2\na: 3\n")[0], /^3:1 the key "a" is written twice/);
  assert.match(problemsOf("[1]: a")[0], /a key must be a plain word/);
  assert.match(problemsOf(": a")[0], /^1:1 /);
  assert.match(problemsOf('{ "__proto__": { polluted: 1 } }')[0], /__proto__ is not allowed/);
  assert.equal(({} as Record<string, unknown>).polluted, undefined);
});

Deno.test("refuses aliases that multiply", () => {
  const levels = Array.from(
    { length: 20 },
    (_, level) => `a${level}: &a${level} [${Array(9).fill(level === 0 ? "x" : `*a${level - 1}`).join(", ")}]`,
  );
  assert.match(problemsOf(levels.join("\n"))[0], /more than 200000 values, aliases resolved/);
});

Deno.test("refuses aliases to nothing and to what contains them", () => {
  assert.match(problemsOf("a: *nowhere")[0], /has no anchor before it|[Uu]nresolved/);
  assert.match(problemsOf("a: &a [*a]")[0], /no anchor before it/);
});

Deno.test("refuses nesting that would exhaust the stack", () => {
  assert.match(problemsOf(`a: ${"[".repeat(70)}${"]".repeat(70)}`)[0], /nested more than 64 levels/);
  for (const unit of ["[", "{a: ", "- ", "? ", "a:\n "]) assert.ok(problemsOf(unit.repeat(50_000)).length > 0, unit);
});

Deno.test("refuses texts and documents that are too large", () => {
  assert.match(problemsOf("a".repeat(yamlLimits.characters + 1))[0], /^1:1 the file has 4194305 characters/);
  assert.match(problemsOf(`[${"1,".repeat(yamlLimits.nodes)}]`)[0], /more than 200000 values/);
});

Deno.test("reads a map of forty thousand keys", () => {
  const keys = Array.from({ length: 40_000 }, (_, index) => `key${index}: 1`).join("\n");
  assert.equal((parseYaml(keys).documents[0] as MapNode).entries.size, 40_000);
});

Deno.test("refuses half surrogate pairs and unknown tags", () => {
  assert.match(problemsOf('a: "\\ud800"')[0], /surrogate/);
  assert.ok(problemsOf("a: !!js/function x").length > 0);
});
