/** (i) Memory that a kept-alive connection with mutual TLS takes while nothing comes on it. */
import type { Bench } from "../bench_run.ts";
import { descriptorLimit, raiseLimit } from "../processes.ts";
import type { Scenario } from "../scenario.ts";

export const idleConnections: Scenario = {
  letter: "i",
  title: "idle kept-alive connections with mutual TLS",
  run: (bench, scenario) =>
    bench.withProxies(scenario, { protocol: "http", callers: "mutual", proxies: 1 }, async (proxies) => {
      // A proxy sets half of its descriptors aside for upstreams.
      const count = Math.min(bench.options.idleConnections, Math.floor(0.475 * descriptorLimit()));
      for (const proxy of proxies) {
        try {
          // What the first connections bring about (code, pools, certificates) is not theirs.
          await using _warm = await open(bench, proxy.port, Math.ceil(count / 50));
          const before = bench.memory(proxy);
          await using _held = await open(bench, proxy.port, count);
          bench.record(
            scenario,
            "KiB",
            `a connection of ${count}`,
            proxy.name,
            0,
            (bench.memory(proxy) - before) / count,
          );
        } catch (error) {
          bench.fail(scenario, `${proxy.name}: ${error instanceof Error ? error.message : error}`);
        }
      }
    }),
};

/** Connections of a child process, open until disposed of. */
async function open(bench: Bench, port: number, count: number): Promise<AsyncDisposable> {
  const { authority, front } = bench.certificates;
  const program = new URL("../load/idle_client.ts", import.meta.url).pathname;
  const args = [
    "run",
    "-A",
    "--no-check",
    program,
    String(port),
    String(count),
    authority,
    front.certificate,
    front.key,
  ];
  const child = new Deno.Command("sh", {
    args: ["-c", `${raiseLimit}; exec "$0" "$@"`, Deno.execPath(), ...args],
    stdin: "piped",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  const output = child.stdout.getReader();
  const { value } = await output.read();
  const disposable = {
    async [Symbol.asyncDispose]() {
      await child.stdin.close().catch(() => {});
      await output.cancel();
      const problem = await new Response(child.stderr).text();
      await child.status;
      if (problem !== "") throw new Error(problem.slice(0, 500));
    },
  };
  // Nothing on its output: it has failed, and disposing of it says why.
  if (value === undefined) await disposable[Symbol.asyncDispose]();
  return disposable;
}
