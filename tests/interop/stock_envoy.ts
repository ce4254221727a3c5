/** A stock Envoy as a child process. */
import { ChildProcess } from "../../scripts/demo/harness/child_process.ts";
import { until } from "../../scripts/demo/harness/until.ts";

let baseId = Deno.pid % 30_000;

/** Starts an Envoy with a bootstrap in a file, and waits until its admin port answers. */
export async function startEnvoy(program: string, name: string, bootstrap: string, admin: string) {
  const child = new ChildProcess(name, program, [
    "-c",
    bootstrap,
    ...[
      "--concurrency",
      "1",
      "--base-id",
      String(++baseId),
      "--log-level",
      "warning",
      "--disable-hot-restart",
      "--file-flush-interval-msec",
      "50",
    ],
  ]);
  const state = await until(`${name} is live`, async () => {
    if (!child.running) return "ended";
    await (await fetch(`http://${admin}/ready`)).body?.cancel();
    return "live";
  }, { timeout: 30_000, explain: () => child.tail() });
  if (state === "ended") throw new Error(`${name} ended (${await child.ended}): ${child.tail()}`);
  return child;
}
