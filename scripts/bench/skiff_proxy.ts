/**
 * The data plane alone, for the benchmark: one data thread under the agent's own supervisor, with the configuration
 * that the file named by the first argument holds (a JSON array of control changes). Runs until it is ended.
 */
import { DataThreads } from "../../agent/supervisor/data_threads.ts";
import type { ControlChange } from "../../agent/supervisor/thread_state.ts";

const changes: ControlChange[] = JSON.parse(Deno.readTextFileSync(Deno.args[0]));
try {
  const threads = await DataThreads.start({ count: 1 });
  for (const change of changes) await threads.apply(change);
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  Deno.exit(1);
}
