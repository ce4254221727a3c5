/** One line of `deno task demo --check`. */
import type { BookinfoMesh } from "../bookinfo_mesh.ts";

export interface Step {
  /** What holds when it is ok. */
  name: string;
  /**
   * @returns what was seen, for the line.
   * @throws {Error} with why it does not hold.
   */
  run(bookinfo: BookinfoMesh): Promise<string>;
}

/** Ends a step that does not hold. */
export function expect(holds: boolean, why: string): asserts holds {
  if (!holds) throw new Error(why);
}

/** Runs the steps in order, prints a line for each, and says whether all held; a failure does not stop the rest. */
export async function runSteps(bookinfo: BookinfoMesh, steps: Step[], stopped: AbortSignal): Promise<boolean> {
  let failed = 0;
  const start = performance.now();
  for (const step of steps) {
    const begin = performance.now();
    try {
      stopped.throwIfAborted();
      const seen = await step.run(bookinfo);
      console.log(`ok ${step.name}: ${seen} (${seconds(begin)})`);
    } catch (error) {
      failed++;
      const why = error instanceof Error ? error.message : String(error);
      console.log(`FAILED ${step.name}: ${why.replaceAll("\n", "\n  ")} (${seconds(begin)})`);
    }
  }
  console.log(`${steps.length - failed} of ${steps.length} steps held, in ${seconds(start)}`);
  return failed === 0;
}

function seconds(since: number): string {
  return `${((performance.now() - since) / 1000).toFixed(1)} s`;
}
