import assert from "node:assert/strict";
import { findBanned } from "../../scripts/checks/bans.ts";

/** The rules that one file breaks, with the lines. */
function broken(path: string, text: string): string[] {
  return findBanned([{ path, text }]).map(({ place, rule }) => `${place} ${rule}`);
}

Deno.test("FFI is banned outside agent/sys and allowed inside", () => {
  const text = `const libc = 1;\nconst a = Deno.dlopen("libc.so.6", {});\nDeno.UnsafePointerView.getCString(a);\n`;
  assert.deepEqual(broken("agent/upstream/pool.ts", text), [
    "agent/upstream/pool.ts:2 FFI outside agent/sys",
    "agent/upstream/pool.ts:3 FFI outside agent/sys",
  ]);
  assert.deepEqual(broken("agent/sys/libc.ts", text), []);
});

Deno.test("a comment or a string that names FFI is no use of it", () => {
  assert.deepEqual(broken("agent/pipeline.ts", `// Deno.dlopen is for agent/sys\nconst a = "Deno.dlopen";\n`), []);
});

for (
  const expression of [
    "Date.now()",
    "new Date()",
    "globalThis.performance.now()",
    "performance.now()",
    "Math.random()",
    "crypto.randomUUID()",
    "setTimeout(run, 5)",
    "Deno.readTextFileSync('mesh.yaml')",
    "Deno.env.get('HOME')",
    "fetch('http://127.0.0.1')",
    "console.log(1)",
  ]
) {
  Deno.test(`routing may not use ${expression}`, () => {
    const rule = "clock, randomness or I/O in routing";
    assert.ok(
      broken("routing/match/path.ts", `export const a = ${expression};\n`).includes(
        `routing/match/path.ts:1 ${rule}`,
      ),
    );
    assert.deepEqual(broken("controlplane/push/push.ts", `export const a = ${expression};\n`), []);
  });
}

Deno.test("routing may not import the runtime's modules; a date that is given is no clock", () => {
  assert.equal(broken("routing/a.ts", `import { readFileSync } from "node:fs";\n`).length, 1);
  assert.deepEqual(broken("routing/a.ts", `import { isIP } from "node:net";\n`), []);
  assert.deepEqual(broken("routing/a.ts", `export const a = new Date(0);\n`), []);
  assert.deepEqual(broken("routing/a_test.ts", `import assert from "node:assert/strict";\n`), []);
});

Deno.test("a registry's host name is banned in every file", () => {
  const host = ["registry", "npmjs", "org"].join(".");
  assert.deepEqual(broken("deno.lock", `{\n"tarball": "https://${host}/x"}\n`), ["deno.lock:2 registry host name"]);
  assert.deepEqual(broken("deno.lock", `{}\n`), []);
});

Deno.test("a file of code has at most 700 lines", () => {
  assert.deepEqual(broken("agent/a.ts", "a;\n".repeat(700)), []);
  assert.deepEqual(broken("agent/a.ts", "a;\n".repeat(701)), ["agent/a.ts:701 more than 700 lines"]);
});

Deno.test("names that say nothing are banned", () => {
  assert.deepEqual(broken("agent/utils.ts", ""), ["agent/utils.ts:1 name that says nothing"]);
  assert.deepEqual(broken("ca/helpers.ts", ""), ["ca/helpers.ts:1 name that says nothing"]);
  assert.deepEqual(broken("common.ts", ""), ["common.ts:1 name that says nothing"]);
  assert.deepEqual(broken("ca/x509/common_name.ts", ""), []);
});

Deno.test("marks of unfinished work are banned in comments and documents, not in strings", () => {
  const mark = ["TO", "DO"].join("");
  const rule = "unfinished work marked in place";
  assert.deepEqual(broken("ca/a.ts", `const a = 1;\n/* ${mark}: rotate */\n`), [`ca/a.ts:2 ${rule}`]);
  assert.deepEqual(broken("ca/a.ts", `if (a) {\n  // ${mark}\n}\n`), [`ca/a.ts:2 ${rule}`]);
  assert.deepEqual(broken("docs/install.md", `# Install\n\n${mark}\n`), [`docs/install.md:3 ${rule}`]);
  assert.deepEqual(broken("ca/a.ts", `const a = "// ${mark}";\n`), []);
});
