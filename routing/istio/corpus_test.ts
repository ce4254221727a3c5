import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { formatProblem, parseResources } from "./parse.ts";

const corpus = new URL("../../testdata/istio/", import.meta.url).pathname;

function filesBelow(folder: string): string[] {
  return readdirSync(join(corpus, folder), { recursive: true, encoding: "utf8" })
    .filter((name) => /\.(yaml|json)$/.test(name)).sort();
}

for (const name of filesBelow("valid")) {
  Deno.test(`takes ${name}`, () => {
    const { resources, problems } = parseResources(name, readFileSync(join(corpus, "valid", name), "utf8"));
    assert.deepEqual(problems.filter(({ severity }) => severity === "error").map(formatProblem), []);
    assert.ok(resources.length > 0);
    if (!/skipped|not-in-force/.test(name)) assert.deepEqual(problems.map(formatProblem), []);
  });
}

for (const name of filesBelow("invalid")) {
  Deno.test(`refuses ${name} at every place that is wrong, and nowhere else`, () => {
    const text = readFileSync(join(corpus, "invalid", name), "utf8");
    const expected = [...text.matchAll(/^# expect: (\d+:\d+ \S.*)$/gm)].map(([, place]) => place);
    assert.ok(expected.length > 0, "the file says what to expect");
    const found = parseResources(name, text).problems
      .filter(({ severity }) => severity === "error")
      .map(({ line, column, path }) => `${line}:${column} ${path || "-"}`);
    assert.deepEqual(found, expected);
  });
}
