/** The table of scenarios. */
import type { Scenario } from "../scenario.ts";
import { agentMemory } from "./agent_memory.ts";
import { idleConnections } from "./idle_connections.ts";
import { lowRate } from "./low_rate.ts";
import { requestScenarios } from "./requests.ts";
import { scale } from "./scale.ts";
import { threads } from "./threads.ts";
import { transfer } from "./transfer.ts";

/** In the order in which they run. */
export const scenarios: Scenario[] = [
  ...requestScenarios,
  transfer,
  lowRate,
  idleConnections,
  agentMemory,
  threads,
  scale,
];
