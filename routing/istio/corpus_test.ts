import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { formatProblem, parseResources } from "./parse.ts";

const corpus = new URL("../../testdata/istio/", import.meta.url).pathname;

function filesBelow(folder: string): string[] {
  return readdirSync(join(corpus, folder), { recursive: true, encoding: "utf8" })
    .filter((name) => /\.(yaml|json)$/.test(name)).sort();
}

/** What the leading comments of a file announce, and what is found: `LINE:COLUMN path`, `-` for the whole document. */
function compare(folder: string, name: string, severity: "error" | "warning", word: string): number {
  const text = readFileSync(join(corpus, folder, name), "utf8");
  const expected = [...text.matchAll(new RegExp(`^# ${word}: (\\d+:\\d+ \\S.*)$`, "gm"))].map(([, place]) => place);
  const { resources, problems } = parseResources(name, text);
  const found = problems.filter((problem) => problem.severity === severity);
  assert.deepEqual(found.map(({ line, column, path }) => `${line}:${column} ${path || "-"}`), expected);
  return folder === "valid" ? resources.length : expected.length;
}

for (const name of filesBelow("valid")) {
  Deno.test(`takes ${name}, with the warnings it announces`, () => {
    const text = readFileSync(join(corpus, "valid", name), "utf8");
    const errors = parseResources(name, text).problems.filter(({ severity }) => severity === "error");
    assert.deepEqual(errors.map(formatProblem), []);
    assert.ok(compare("valid", name, "warning", "warning") > 0, "has a resource");
  });
}

for (const name of filesBelow("invalid")) {
  Deno.test(`refuses ${name} at every place that is wrong, and nowhere else`, () => {
    assert.ok(compare("invalid", name, "error", "expect") > 0, "the file says what to expect");
  });
}
