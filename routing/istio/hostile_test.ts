import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import fc from "fast-check";
import { formatProblem, parseResources } from "./parse.ts";

const valid = new URL("../../testdata/istio/valid/", import.meta.url);
const texts = readdirSync(valid).filter((name) => name.endsWith(".yaml")).map((name) =>
  readFileSync(new URL(name, valid), "utf8")
);

/** Reads and prints, as every caller does. */
function readAll(text: string): void {
  const { problems } = parseResources("f.yaml", text);
  for (const problem of problems) formatProblem(problem);
}

Deno.test("never throws on any text", () => {
  fc.assert(fc.property(fc.string({ unit: "binary", maxLength: 300 }), readAll), { numRuns: 300 });
});

Deno.test("never throws on text of YAML's own signs", () => {
  const sign = fc.constantFrom(..."{}[]:,-?&*!|>'\"%@`#\n \tab1~<.", "---\n", "<<: ", "*a", "&a ", "!!str ", "kind: ");
  fc.assert(fc.property(fc.array(sign, { maxLength: 60 }), (signs) => readAll(signs.join(""))), { numRuns: 500 });
});

Deno.test("never throws on valid resources of which one value is something else", () => {
  const other = fc.constantFrom(
    "null",
    "-1",
    "1e400",
    "true",
    '""',
    "[]",
    "{}",
    "[[]]",
    "[null]",
    "{ a: null }",
    "'\\'",
    "x y",
  );
  const property = fc.property(fc.constantFrom(...texts), fc.nat(), other, (text, place, value) => {
    const values = [...text.matchAll(/(?<=[:[,-] )[^\s{}[\],][^\n{}[\],]*|\{[^{}]*\}|\[[^[\]]*\]/g)];
    const { index, 0: { length } } = values[place % values.length];
    readAll(text.slice(0, index) + value + text.slice(index + length));
  });
  fc.assert(property, { numRuns: 500 });
});

Deno.test("reports at most a hundred problems of a document, however many there are", () => {
  const fields = Array.from({ length: 5000 }, () => "{ nonsense: 1 }").join(", ");
  const { problems } = parseResources(
    "f.yaml",
    `apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: { name: a }\nspec: { hosts: [a], http: [${fields}] }\n`,
  );
  assert.ok(problems.length > 0 && problems.length <= 100, String(problems.length));
});

Deno.test("refuses a map of sixty thousand keys by their number", () => {
  const keys = Array.from({ length: 60_000 }, (_, index) => `k${index}: v`).join(", ");
  const { problems } = parseResources(
    "f.yaml",
    `apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: { name: a }\nspec: { http: [{ headers: { request: { set: { ${keys} } } } }] }\n`,
  );
  assert.ok(problems.some(({ message }) => message === "must have at most 4096 keys, found 60000"));
});
