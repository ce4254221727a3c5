import assert from "node:assert/strict";
import { countOkLines, countTests, settle } from "../../scripts/checks/test_output.ts";

Deno.test("the summary of deno test is counted, with steps and with failures", () => {
  assert.deepEqual(countTests("a ... ok (1ms)\n\nok | 12 passed (3 steps) | 0 failed (2s)\n"), {
    passed: 12,
    failed: 0,
  });
  assert.deepEqual(countTests("FAILED | 39 passed | 1 failed | 2 ignored (1s)\n"), { passed: 39, failed: 1 });
});

Deno.test("each ok or FAILED line of a check counts once", () => {
  assert.deepEqual(countOkLines("ok formatting\nFAILED lint\n  ok not at the start\n"), { passed: 1, failed: 1 });
});

Deno.test("a part that ran no test has failed", () => {
  assert.deepEqual(settle(countTests(""), 0), { passed: 0, failed: 1 });
});

Deno.test("a part that exits with an error has failed, whatever it printed", () => {
  assert.deepEqual(settle({ passed: 5, failed: 0 }, 1), { passed: 5, failed: 1 });
  assert.deepEqual(settle({ passed: 5, failed: 2 }, 1), { passed: 5, failed: 2 });
  assert.deepEqual(settle({ passed: 5, failed: 0 }, 0), { passed: 5, failed: 0 });
});
