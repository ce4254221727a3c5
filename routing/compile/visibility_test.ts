import { strictEqual } from "node:assert/strict";
import { exportBreadth, exportedTo } from "./visibility.ts";

Deno.test("exportTo decides which namespaces see a resource of namespace a", () => {
  const cases: [string[] | undefined, string, boolean][] = [
    [undefined, "b", true],
    [[], "b", true],
    [["*"], "b", true],
    [["."], "a", true],
    [["."], "b", false],
    [["b"], "b", true],
    [["b"], "a", false],
    [["b", "."], "a", true],
    [["~"], "a", false],
  ];
  for (const [exportTo, viewer, visible] of cases) {
    strictEqual(exportedTo(exportTo, "a", viewer), visible, `${JSON.stringify(exportTo)} seen from ${viewer}`);
  }
});

Deno.test("exportTo is own, named or public", () => {
  strictEqual(exportBreadth(["."], "a"), 0);
  strictEqual(exportBreadth(["a"], "a"), 0);
  strictEqual(exportBreadth(["b", "."], "a"), 1);
  strictEqual(exportBreadth(["*"], "a"), 2);
  strictEqual(exportBreadth(undefined, "a"), 2);
});
