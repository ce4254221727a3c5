import assert from "node:assert/strict";
import { join } from "node:path";
import { againstDirection, importsOf } from "../../scripts/checks/directions.ts";

function refused(from: string, to: string): string[] {
  return againstDirection([{ from, to }]).map(({ rule }) => rule);
}

for (
  const [from, to] of [
    ["agent/pipeline.ts", "controlplane/push/push.ts"],
    ["controlplane/push/push.ts", "agent/config/model.ts"],
    ["controlplane/push/push.ts", "cli/run.ts"],
    ["ca/authority/authority.ts", "controlplane/store/store.ts"],
    ["ca/authority/authority.ts", "routing/mesh.ts"],
    ["routing/mesh.ts", "log/log.ts"],
    ["routing/mesh.ts", "deno.json"],
    ["routing/mesh.ts", "ca/spiffe/spiffe_id.ts"],
    ["log/log.ts", "agent/config/model.ts"],
    ["cli/run.ts", "main.ts"],
    ["agent/pipeline.ts", "tests/e2e/mesh.ts"],
    ["agent/pipeline.ts", "scripts/check.ts"],
  ]
) {
  Deno.test(`${from} may not import ${to}`, () => assert.equal(refused(from, to).length, 1));
}

for (
  const [from, to] of [
    ["main.ts", "cli/run.ts"],
    ["cli/version.ts", "deno.json"],
    ["cli/run.ts", "agent/agent.ts"],
    ["controlplane/push/push.ts", "routing/mesh.ts"],
    ["agent/pipeline.ts", "ca/spiffe/spiffe_id.ts"],
    ["agent/pipeline.ts", "agent/config/model.ts"],
    ["ca/authority/authority.ts", "log/log.ts"],
    ["tests/e2e/mesh_test.ts", "agent/pipeline.ts"],
  ]
) {
  Deno.test(`${from} may import ${to}`, () => assert.deepEqual(refused(from, to), []));
}

Deno.test("the graph holds imports of values and of types, with paths relative to the root", async () => {
  const root = await Deno.makeTempDir();
  try {
    await Deno.writeTextFile(join(root, "deno.json"), "{}");
    await Deno.mkdir(join(root, "agent"));
    await Deno.mkdir(join(root, "controlplane"));
    await Deno.writeTextFile(
      join(root, "agent/a.ts"),
      `import type { B } from "../controlplane/b.ts";\nexport const a: B = 1;\n`,
    );
    await Deno.writeTextFile(join(root, "controlplane/b.ts"), `export type B = number;\n`);
    const imports = await importsOf(root, ["agent/a.ts", "controlplane/b.ts"]);
    assert.deepEqual(imports, [{ from: "agent/a.ts", to: "controlplane/b.ts" }]);
    assert.equal(againstDirection(imports).length, 1);
  } finally {
    await Deno.remove(root, { recursive: true });
  }
});
