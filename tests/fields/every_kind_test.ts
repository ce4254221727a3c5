import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";

Deno.test("every kind of Istio's API has its field table", () => {
  const fields = readFileSync(new URL("../../testdata/istio/fields.json", import.meta.url), "utf8");
  const folder = new URL("./", import.meta.url);
  const tables = readdirSync(folder).filter((name) => name.endsWith("_test.ts")).flatMap((name) =>
    [...readFileSync(new URL(name, folder), "utf8").matchAll(/^ {2}kind: "(\w+)",$/gm)].map(([, kind]) => kind)
  );
  assert.deepEqual(tables.sort(), Object.keys(JSON.parse(fields).kinds).sort());
});
