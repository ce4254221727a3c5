/** (j) A whole agent as it is shipped, joined and configured, with nothing to do: its memory and its processor time. */
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { Bench } from "../bench_run.ts";
import { anonymousMemory, processorTime, residentMemory } from "../processes.ts";
import type { Scenario } from "../scenario.ts";
import { claimLoopbackBlock } from "../../demo/harness/loopback.ts";
import { Mesh } from "../../demo/harness/mesh.ts";

/** What an agent does after its start is over by then. */
const settleSeconds = 3;

export const agentMemory: Scenario = {
  letter: "j",
  title: "a whole agent, idle",
  run: async (bench, scenario) => {
    const executable = await compile(bench.folder);
    for (const workers of [1, 2]) await measure(bench, scenario, executable, workers);
  },
};

/** What `deno task compile` makes here. Throws with what it said when it fails. */
async function compile(folder: string): Promise<string> {
  const script = fileURLToPath(new URL("../../compile.ts", import.meta.url));
  const executable = join(folder, "skiff");
  const { success, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--no-check", script, executable],
    stdin: "null",
  }).output();
  const decoder = new TextDecoder();
  if (!success) throw new Error(`deno task compile: ${decoder.decode(stderr)}`);
  console.log(decoder.decode(stdout).trim());
  return executable;
}

async function measure(bench: Bench, scenario: Scenario, executable: string, workers: number): Promise<void> {
  using block = claimLoopbackBlock(1);
  await using mesh = new Mesh({ block, workers, agentExecutable: executable });
  await mesh.startControlPlane();
  const machine = { name: "vm-1", address: block.machine(1), vipRange: block.virtual(1) };
  const workload = { service: "reviews", serviceAccount: "reviews", version: "v1", port: 9080 };
  await mesh.joinAgent({ ...machine, workloads: [{ ...workload, localAddress: block.workload(1, 1) }] });
  const { pid } = mesh.agents.get("vm-1")!;
  await new Promise((resolve) => setTimeout(resolve, settleSeconds * 1000));
  const row = `${workers} data thread${workers > 1 ? "s" : ""}`;
  const before = processorTime(pid);
  const seconds = bench.options.lowRateSeconds;
  await new Promise((resolve) => setTimeout(resolve, seconds * 1000));
  bench.record(scenario, "µs/s", row, "skiff", 0, (processorTime(pid) - before) / 1000 / seconds);
  bench.record(scenario, "MiB", row, "skiff", 0, residentMemory(pid) / 1024);
  // Pages of the executable are the page cache's: every process of it shares them.
  bench.record(scenario, "MiB", `${row}, without the executable's pages`, "skiff", 0, anonymousMemory(pid) / 1024);
}
