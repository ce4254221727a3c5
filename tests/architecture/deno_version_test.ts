import assert from "node:assert/strict";
import { join } from "node:path";
import { sourceFiles } from "../../scripts/checks/source_files.ts";

const root = join(import.meta.dirname!, "../..");
const pinned = Deno.readTextFileSync(join(root, ".deno-version")).trim();

Deno.test("every command in the documents names the pinned Deno", () => {
  const named = sourceFiles(root).filter(({ path }) => path.endsWith(".md")).flatMap(({ path, text }) =>
    [...text.matchAll(/\bdeno@(\d+\.\d+\.\d+)/g)].map((match) => `${path}: ${match[1]}`)
  );
  assert.ok(named.some((line) => line.startsWith("README.md: ")), "README.md names no Deno version");
  assert.deepEqual(named.filter((line) => !line.endsWith(`: ${pinned}`)), []);
});

Deno.test("README has the test command that CI runs", () => {
  const readme = Deno.readTextFileSync(join(root, "README.md"));
  assert.match(readme, new RegExp(`^npx -y deno@${pinned.replaceAll(".", "\\.")} task test\\b`, "m"));
});
