import assert from "node:assert/strict";
import { join } from "node:path";
import { findFloatingPromises, writeDenoTypes } from "../../scripts/checks/floating_promises.ts";

const fixture = `
async function work(): Promise<number> { return await Promise.resolve(1); }
work();
Deno.remove("a");
Promise.all([work()]).then(() => 1);
true && work();
await work();
void work();
work().catch(() => 0);
work().then(() => 1, () => 0);
const kept = work();
kept.toString();
let later; later = work();
`;

Deno.test("a dropped promise is found, a kept or handled one is not", async () => {
  const folder = await Deno.makeTempDir();
  try {
    const path = join(folder, "fixture.ts");
    await Deno.writeTextFile(path, fixture);
    const found = findFloatingPromises(folder, [path], await writeDenoTypes(folder));
    assert.deepEqual(found.map(({ place }) => place), ["fixture.ts:3", "fixture.ts:4", "fixture.ts:5", "fixture.ts:6"]);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
