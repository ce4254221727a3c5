import assert from "node:assert/strict";
import { join } from "node:path";

const root = join(import.meta.dirname!, "../..");

/** Tests that a document names, as `sentence` (path). */
function claims(document: string): { sentence: string; path: string }[] {
  return [...document.matchAll(/`([^`]+)` \(([\w/.]+\.ts)\)/g)].map(([, sentence, path]) => ({ sentence, path }));
}

/** What is wrong with a claim; `null` when the file holds the sentence. */
function unfounded({ sentence, path }: { sentence: string; path: string }): string | null {
  let text: string;
  try {
    text = Deno.readTextFileSync(join(root, path));
  } catch {
    return `${path} does not exist`;
  }
  return text.includes(`"${sentence}"`) ? null : `${path} has no test "${sentence}"`;
}

Deno.test("every test that SECURITY.md names exists", () => {
  const named = claims(Deno.readTextFileSync(join(root, "SECURITY.md")));
  assert.ok(named.length >= 10, "SECURITY.md names its tests");
  assert.deepEqual(named.map(unfounded).filter((problem) => problem !== null), []);
});

Deno.test("a claim whose test is gone is found", () => {
  const [gone, lost] = claims("| a | `no such sentence` (log/log.ts) |\n| b | `x` (no/such.ts) |");
  assert.equal(unfounded(gone), `log/log.ts has no test "no such sentence"`);
  assert.equal(unfounded(lost), "no/such.ts does not exist");
});
