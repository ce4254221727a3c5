import { Ajv2020 } from "ajv/dist/2020.js";
import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { parseAllDocuments } from "yaml";
import { schemaDocuments } from "./documents.ts";

const corpus = new URL("../../testdata/istio/valid/", import.meta.url).pathname;
const documents = schemaDocuments();
const ajv = new Ajv2020({ strict: true, allowUnionTypes: true, schemas: Object.fromEntries(documents) });
const resource = ajv.getSchema("resource.json")!;

function problemsOf(text: string): string[] {
  return parseAllDocuments(text, { merge: true }).map((document) => document.toJS()).flatMap((value) => {
    const items = value?.kind === "List" ? value.items : value === null ? [] : [value];
    return items.flatMap((item: unknown) => resource(item) ? [] : resource.errors ?? [])
      .map(({ instancePath, message }: { instancePath: string; message?: string }) => `${instancePath} ${message}`);
  });
}

// Editors see the JSON names of fields alone, as Istio's documentation writes them.
const onlyForTheProgram = ["snake-case.yaml"];

for (const name of readdirSync(corpus, { recursive: true, encoding: "utf8" }).sort()) {
  if (!name.endsWith(".yaml") || onlyForTheProgram.includes(name)) continue;
  Deno.test(`the schemas for editors take ${name}`, () => {
    assert.deepEqual(problemsOf(readFileSync(join(corpus, name), "utf8")), []);
  });
}

Deno.test("the schemas for editors refuse an unknown field, a wrong type and a missing one", () => {
  const [unknown, type, missing] = ["timout: 2s", "timeout: 2", "match: [{ port: 70000 }]"].map((line) =>
    problemsOf(`
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: { name: reviews }
spec: { hosts: [reviews], http: [{ route: [{ destination: { host: reviews } }], ${line} }] }`)
  );
  assert.match(unknown.join(), /must NOT have additional properties/);
  assert.match(type.join(), /timeout must be string/);
  assert.match(missing.join(), /port must be <= 65535/);
});

Deno.test("docs/schema holds what the program's own schemas say (deno task schema)", () => {
  const folder = new URL("../../docs/schema/", import.meta.url).pathname;
  assert.deepEqual(readdirSync(folder).sort(), [...documents.keys()].sort());
  for (const [name, document] of documents) {
    assert.deepEqual(JSON.parse(readFileSync(join(folder, name), "utf8")), JSON.parse(JSON.stringify(document)), name);
  }
});
