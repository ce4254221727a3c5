/** Counts what passed and what failed from what a run printed. */

export interface Count {
  passed: number;
  failed: number;
}

/** The summary of `deno test`: `ok | 12 passed (3 steps) | 0 failed (2s)`. Without one, nothing was counted. */
export function countTests(output: string): Count {
  const count: Count = { passed: 0, failed: 0 };
  for (const match of output.matchAll(/^(?:ok|FAILED) \| (\d+) passed(?: \(\d+ steps?\))? \| (\d+) failed/gm)) {
    count.passed += Number(match[1]);
    count.failed += Number(match[2]);
  }
  return count;
}

/** One `ok …` or `FAILED …` line per step, as `check` and `demo --check` print them. */
export function countOkLines(output: string): Count {
  return {
    passed: output.match(/^ok /gm)?.length ?? 0,
    failed: output.match(/^FAILED /gm)?.length ?? 0,
  };
}

/** A part that ran nothing, or that exited with an error nothing in its output accounts for, has failed once more. */
export function settle(count: Count, exitCode: number): Count {
  const unaccounted = count.failed === 0 && (exitCode !== 0 || count.passed === 0);
  return unaccounted ? { ...count, failed: 1 } : count;
}
