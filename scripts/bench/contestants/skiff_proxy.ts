/**
 * The data plane alone, for the benchmark, under the agent's own supervisor: the configuration is what the file named by
 * the first argument holds (a JSON array of control changes), the second says how many data threads. Runs until ended.
 */
import { DataThreads } from "../../../agent/supervisor/data_threads.ts";
import type { ControlChange } from "../../../agent/supervisor/thread_state.ts";

const changes: ControlChange[] = JSON.parse(Deno.readTextFileSync(Deno.args[0]));
try {
  const threads = await DataThreads.start({ count: Number(Deno.args[1]) });
  for (const change of changes) await threads.apply(change);
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  Deno.exit(1);
}
