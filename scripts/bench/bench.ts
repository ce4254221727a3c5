/**
 * `deno task bench`: nginx, HAProxy, Envoy and skiff on the same work, in alternating rounds, each held to one worker.
 * Prints processor time per request first (all processes and threads of a proxy), latency, memory, and which targets
 * were met. Only loopback addresses are used; every program started here is ended here.
 */
import { makeCertificates } from "./certificates.ts";
import { Bench } from "./bench_run.ts";
import { envoy } from "./contestants/envoy.ts";
import { haproxy } from "./contestants/haproxy.ts";
import { nginx } from "./contestants/nginx.ts";
import { skiff } from "./contestants/skiff.ts";
import { type BenchOptions, OptionsError, readOptions, usage } from "./options.ts";
import { findPrograms, version } from "./prerequisites.ts";
import { markdown, type Results } from "./report.ts";
import { judge } from "./targets.ts";
import { stockEnvoy } from "../stock_envoy.ts";

const options = optionsOrExit();
const { versions, missing } = findPrograms();
if (missing.length > 0) {
  for (const { program } of missing) console.error(`bench: ${program} is missing`);
  console.error(`hint: apt-get install ${missing.map(({ debianPackage }) => debianPackage).join(" ")}`);
  Deno.exit(2);
}
const envoyProgram = await stockEnvoy();
if (envoyProgram !== null) versions.envoy = version(envoyProgram, ["--version"]) ?? "";
const results: Results = {
  machine: { processors: navigator.hardwareConcurrency, kernel: Deno.osRelease(), date: new Date().toISOString() },
  versions: { ...versions, deno: Deno.version.deno },
  values: [],
  notes: [],
  failures: [],
};
const contestants = [nginx, haproxy, ...(envoyProgram === null ? [] : [envoy(envoyProgram)]), skiff];
const folder = await Deno.makeTempDir({ prefix: "skiff-bench-" });
const bench = new Bench(options, contestants, await makeCertificates(folder), folder, results);
let interrupted = false;
const interrupt = () => {
  interrupted = true;
  void bench.stop();
};
Deno.addSignalListener("SIGINT", interrupt);
Deno.addSignalListener("SIGTERM", interrupt);
try {
  for (const scenario of options.scenarios) await scenario.run(bench, scenario);
} catch (error) {
  if (!interrupted) throw error;
} finally {
  await bench.stop();
  await Deno.remove(folder, { recursive: true });
}
Deno.removeSignalListener("SIGINT", interrupt);
Deno.removeSignalListener("SIGTERM", interrupt);
console.log(`\n${markdown(results, options.scenarios)}`);
console.log(["", "Targets:", ...judge(results).map((line) => `- ${line}`)].join("\n"));
for (const failure of results.failures) console.log(`\nFAILED ${failure}`);
if (options.json !== null) await Deno.writeTextFile(options.json, JSON.stringify(results, null, 2) + "\n");
Deno.exit(results.failures.length === 0 && !interrupted ? 0 : 1);

function optionsOrExit(): BenchOptions {
  try {
    return readOptions(Deno.args);
  } catch (error) {
    if (!(error instanceof OptionsError)) throw error;
    console.error(`bench: ${error.message}\n${usage}`);
    Deno.exit(2);
  }
}
