/** (scale) The control plane: a mesh of many services, many agents, changes, a restart. */
import type { Bench } from "../bench_run.ts";
import { measureScale } from "../scale/scale.ts";
import type { Scenario } from "../scenario.ts";

const changes = 5;

export const scale: Scenario = {
  letter: "scale",
  title: "the control plane of a large mesh",
  run: async (bench, scenario) => {
    const { fleet } = bench.options;
    await measure(bench, scenario, 1_000, fleet);
    // With few agents: what five times the services cost is to be seen, not what five times the bytes weigh.
    await measure(bench, scenario, 5_000, Math.min(fleet, 10));
  },
};

async function measure(bench: Bench, scenario: Scenario, services: number, agents: number): Promise<void> {
  const { first, herd, change, restart, memory, retries } = await measureScale({ services, agents, changes });
  const note = (table: "control plane, ms" | "MiB", row: string, value: number) =>
    bench.record(scenario, table, `${services} services: ${row}`, "skiff", 0, value);
  note("control plane, ms", "first agent, processor", first);
  note("control plane, ms", `${agents} agents register at once, processor`, herd.processor);
  note("control plane, ms", `${agents} agents register at once, all configured`, herd.all);
  note("control plane, ms", "one endpoint changed, processor", change.processor);
  note("control plane, ms", "one endpoint changed, p50", change.p50);
  note("control plane, ms", "one endpoint changed, p99", change.p99);
  note("control plane, ms", `${agents} agents after a restart, processor`, restart.processor);
  note("control plane, ms", `${agents} agents after a restart, all configured`, restart.all);
  note("MiB", "all connected", memory.connected);
  note("MiB", "after a restart, highest", memory.peak);
  note("MiB", "after a restart, agents gone", memory.after);
  const opened = Object.values(retries).reduce((sum, each) => sum + each, 0);
  if (opened > 0) bench.results.notes.push(`${services} services: ${opened} streams were opened anew`);
}
