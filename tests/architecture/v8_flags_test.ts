import assert from "node:assert/strict";
import { join } from "node:path";
import { v8Flags } from "../../scripts/v8_flags.ts";

const root = join(import.meta.dirname!, "../..");

Deno.test("the task skiff starts the runtime as the scripts do", async () => {
  const { tasks } = JSON.parse(await Deno.readTextFile(join(root, "deno.json")));
  assert.ok(tasks.skiff.command.includes(`deno run -A ${v8Flags} main.ts`), tasks.skiff.command);
});

Deno.test("the runtime takes the flags", async () => {
  const { code, stderr } = await new Deno.Command(Deno.execPath(), { args: ["eval", v8Flags, "0"] }).output();
  assert.equal(code, 0, new TextDecoder().decode(stderr));
});
