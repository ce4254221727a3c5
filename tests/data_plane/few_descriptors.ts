/**
 * A data plane in a process of its own, for tests that take its file descriptors away: one listener before one backend,
 * whose port is the argument, without the limit on connections that would keep some descriptors. Tells its port; then,
 * for each line that comes, the processor time it has used so far (µs).
 */
import process from "node:process";
import { freePort, simpleSetup, TestProxy } from "./harness.ts";

// As the agent does at its start: without a descriptor left the runtime ends the process over its first signal listener.
Deno.addSignalListener("SIGHUP", () => {});
const port = freePort();
await TestProxy.start(simpleSetup(port, [Number(Deno.args[0])]), 1, { maxConnections: 0 });
console.log(port);
for await (const _ of Deno.stdin.readable) {
  const { user, system } = process.cpuUsage();
  console.log(user + system);
}
Deno.exit(0);
