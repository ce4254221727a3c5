import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { validateCommand } from "./validate.ts";

const rule = (name: string, host = "a") =>
  `apiVersion: networking.istio.io/v1\nkind: DestinationRule\nmetadata: { name: ${name} }\nspec: { host: ${host} }\n`;

/** Runs the command on the files, with `ROOT` in the arguments for their directory, and catches what it prints. */
async function validate(files: Record<string, string | Uint8Array>, ...args: string[]) {
  const root = mkdtempSync(join(tmpdir(), "validate-"));
  const { log, error } = console;
  const printed = { out: [] as string[], err: [] as string[] };
  try {
    for (const [name, content] of Object.entries(files)) {
      mkdirSync(join(root, name, ".."), { recursive: true });
      writeFileSync(join(root, name), content);
    }
    symlinkSync(root, join(root, "circle.yaml"));
    console.log = (line: string) => printed.out.push(line.replaceAll(root, "ROOT"));
    console.error = (line: string) => printed.err.push(line.replaceAll(root, "ROOT"));
    return { code: await validateCommand(args.map((arg) => arg.replace("ROOT", root))), ...printed };
  } finally {
    [console.log, console.error] = [log, error];
    rmSync(root, { recursive: true });
  }
}

Deno.test("validate exits 0 for valid files of every kind of name, below directories too", async () => {
  const files = { "a.yaml": rule("a"), "deep/b.yml": rule("b"), "deep/er/c.json": "{}\n", "notes.txt": ": not read" };
  files["deep/er/c.json"] =
    '{ "apiVersion": "networking.istio.io/v1", "kind": "DestinationRule", "metadata": { "name": "c" }, "spec": { "host": "c" } }';
  assert.deepEqual(await validate(files, "ROOT"), {
    code: 0,
    out: [],
    err: ["3 files, 3 valid resources, 0 errors, 0 warnings"],
  });
});

Deno.test("validate exits 0 for warnings and prints them", async () => {
  const { code, out, err } = await validate(
    { "a.yaml": "apiVersion: v1\nkind: Secret\nmetadata: { name: s }\n" },
    "ROOT/a.yaml",
  );
  assert.equal(code, 0);
  assert.deepEqual(out, [
    'ROOT/a.yaml:2:1: warning: Secret/default/s: kind: "Secret" of "v1" has no meaning here and is skipped',
  ]);
  assert.deepEqual(err, ["1 file, 0 valid resources, 0 errors, 1 warning"]);
});

Deno.test("validate exits 1 for an error, and reads on", async () => {
  const { code, out } = await validate({ "a.yaml": rule("a", "'a b'"), "b.yaml": rule("b", "[]") }, "ROOT");
  assert.equal(code, 1);
  assert.deepEqual(out, [
    'ROOT/a.yaml:4:15: error: DestinationRule/default/a: spec.host: must be a DNS name, with * only as its first label, found "a b"',
    "ROOT/b.yaml:4:15: error: DestinationRule/default/b: spec.host: must be a string, found an empty list",
  ]);
});

Deno.test("validate finds one resource in two files, and a file named twice only once", async () => {
  const files = { "a.yaml": rule("same"), "b.yaml": rule("same") };
  const { code, out } = await validate(files, "ROOT/a.yaml", "ROOT");
  assert.equal(code, 1);
  assert.deepEqual(out, [
    "ROOT/b.yaml:1:1: error: DestinationRule/default/same: is defined already in ROOT/a.yaml:1: remove or rename one",
  ]);
});

Deno.test("validate exits 2 where something cannot be read", async () => {
  const missing = await validate({ "a.yaml": rule("a") }, "ROOT/missing", "ROOT/a.yaml");
  assert.equal(missing.code, 2);
  assert.match(missing.err[0], /^ROOT\/missing: cannot be read: /);
  const binary = await validate({ "a.yaml": new Uint8Array([0xff, 0xfe, 0x41]) }, "ROOT");
  assert.equal(binary.code, 2);
  assert.match(binary.err[0], /^ROOT\/a\.yaml: cannot be read: /);
});
