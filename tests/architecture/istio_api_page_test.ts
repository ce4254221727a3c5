import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { kinds } from "../../routing/istio/kinds.ts";
import { meshFieldsNotInForce } from "../../routing/istio/mesh_config.ts";
import { notInForce } from "../../routing/istio/not_in_force.ts";

const root = join(import.meta.dirname!, "../..");
const page = readFileSync(join(root, "docs/istio-api.md"), "utf8");

/** The texts in backticks of each cell, row by row, of the table under a heading. */
function rowsUnder(heading: string): string[][][] {
  const [, section] = page.split(`\n### ${heading}\n`);
  assert.ok(section !== undefined, `docs/istio-api.md has no heading ${heading}`);
  const lines = section.split(/\n##/)[0].split("\n").filter((line) => line.startsWith("| `"));
  return lines.map((line) => line.split("|").slice(1, -1).map(inBackticks));
}

function inBackticks(text: string): string[] {
  return [...text.matchAll(/`([^`]+)`/g)].map(([, code]) => code);
}

/** What is not in force of every traffic policy stands once, as of the rule's own. */
function once(field: string): string {
  return field.replace(/^(subsets\[\]\.)?trafficPolicy\.(portLevelSettings\[\]\.)?/, "trafficPolicy.");
}

for (const [kind, entries] of Object.entries(notInForce)) {
  Deno.test(`docs/istio-api.md lists what is not in force of ${kind}, and nothing else`, () => {
    const rows = rowsUnder(kind);
    const listed = rows.map(([[field]]) => field);
    assert.deepEqual(listed.toSorted(), [...new Set(entries.map(({ field }) => once(field)))].sort());
    for (const [[field], examples] of rows) {
      const { values } = entries.find((entry) => once(entry.field) === field)!;
      assert.equal(examples.length > 0, values !== undefined, `${kind} ${field}: are there values?`);
      for (const example of examples) assert.match(example, values!, `${kind} ${field}`);
    }
  });
}

Deno.test("docs/istio-api.md lists what is not in force of mesh.yaml, and nothing else", () => {
  const listed = rowsUnder("MeshConfig (mesh.yaml)").flatMap(([fields]) => fields);
  assert.deepEqual(listed.sort(), [...meshFieldsNotInForce].sort());
});

Deno.test("docs/istio-api.md names the kinds that are not read", () => {
  const unread = kinds.filter(({ spec }) => spec === null).map(({ name }) => name);
  assert.ok(page.includes(`| ${unread.join(", ")} |`), unread.join(", "));
});

/** The longest part without `${…}` of every message that says of something that it is not in force. */
function messages(source: string): string[] {
  const code = source.split("\n").filter((line) => !/^\s*(\/?\*|\/\/)/.test(line)).join("\n");
  const said = /["`]([^"`\n]*(?:in this version|not in force|is not supported)[^"`\n]*)/g;
  return [...code.matchAll(said)].map(([, message]) =>
    message.split(/\$\{[^}]*\}/).toSorted((a, b) => b.length - a.length)[0].trim()
  );
}

Deno.test("docs/istio-api.md quotes every message that says what is not in force", () => {
  const folder = join(root, "routing/istio");
  const files = readdirSync(folder, { recursive: true, encoding: "utf8" })
    .filter((name) => name.endsWith(".ts") && !name.endsWith("_test.ts"));
  const said = files.flatMap((name) => messages(readFileSync(join(folder, name), "utf8")));
  assert.ok(said.length >= 10, "messages are found");
  assert.deepEqual(said.filter((message) => !page.includes(message)), []);
});
