/**
 * `deno task bench`: nginx, HAProxy and skiff on the same work, in alternating rounds, each held to one worker. Prints
 * processor time per request (all processes and threads of a proxy), latency at one fixed rate, memory. Only loopback
 * addresses are used; every program started here is ended here.
 */
import { join } from "node:path";
import { makeCertificates } from "./certificates.ts";
import { haproxy } from "./haproxy.ts";
import { fixedRate, fullLoad } from "./load.ts";
import { bodyLength, nginx, startApplication } from "./nginx.ts";
import { type BenchOptions, OptionsError, readOptions, usage } from "./options.ts";
import { findPrograms } from "./prerequisites.ts";
import { freePort, processorTime, type Program, residentMemory, StartError } from "./processes.ts";
import { markdown, type Results } from "./report.ts";
import { type Contestant, type ScenarioName, scenarios, type Setting } from "./scenario.ts";
import { skiff } from "./skiff.ts";

const contestants: Contestant[] = [nginx, haproxy, skiff];
/** Connections while a proxy warms up, and at the fixed rate. */
const usualConnections = 32;
const warmUpSeconds = 1;
/** Share of the slowest proxy's throughput that is offered at the fixed rate. */
const rateShare = 0.4;

/** A proxy that runs and answers. */
interface Running {
  name: string;
  url: string;
  programs: Program[];
}

const options = optionsOrExit();
const { versions, missing } = findPrograms();
if (missing.length > 0) {
  for (const { program } of missing) console.error(`bench: ${program} is missing`);
  console.error(`hint: apt-get install ${missing.map(({ debianPackage }) => debianPackage).join(" ")}`);
  Deno.exit(2);
}
const results: Results = {
  machine: { processors: navigator.hardwareConcurrency, kernel: Deno.osRelease(), date: new Date().toISOString() },
  versions: { ...versions, deno: Deno.version.deno },
  samples: [],
  rates: [],
  memory: [],
  failures: [],
};
const folder = await Deno.makeTempDir({ prefix: "skiff-bench-" });
const running = new Set<Program>();
let interrupted = false;
const interrupt = () => {
  interrupted = true;
  for (const program of running) void program.stop();
};
Deno.addSignalListener("SIGINT", interrupt);
Deno.addSignalListener("SIGTERM", interrupt);
try {
  const certificates = await makeCertificates(folder);
  for (const scenario of options.scenarios) {
    const application = freePort();
    const setting = { scenario, folder, certificates, ports: { front: 0, between: 0, application } };
    await measure(setting, certificates.authority);
  }
} catch (error) {
  if (!interrupted) throw error;
} finally {
  await Promise.all([...running].map((program) => program.stop()));
  await Deno.remove(folder, { recursive: true });
}
Deno.removeSignalListener("SIGINT", interrupt);
Deno.removeSignalListener("SIGTERM", interrupt);
console.log(`\n${markdown(results)}`);
for (const failure of results.failures) console.log(`\nFAILED ${failure}`);
if (options.json !== null) await Deno.writeTextFile(options.json, JSON.stringify(results, null, 2) + "\n");
Deno.exit(results.failures.length === 0 && !interrupted ? 0 : 1);

/** One scenario: all proxies started, loaded in turns, measured, ended. */
async function measure(setting: Setting, authority: string): Promise<void> {
  const { scenario } = setting;
  const started: Program[] = [];
  const keep = (programs: Program[]) => {
    started.push(...programs);
    for (const program of programs) running.add(program);
  };
  keep([await startApplication(setting)]);
  const proxies: Running[] = [];
  for (const contestant of contestants) {
    const ports = { ...setting.ports, front: freePort(), between: freePort() };
    try {
      const programs = await contestant.start({ ...setting, ports });
      keep(programs);
      const url = `${scenarios[scenario].client}://127.0.0.1:${ports.front}/`;
      await assertAnswers(url, authority);
      await fullLoad(url, usualConnections, warmUpSeconds);
      proxies.push({ name: contestant.name, url, programs });
    } catch (error) {
      if (!(error instanceof StartError)) throw error;
      results.failures.push(`${contestant.name} in (${scenarios[scenario].letter}): ${error.message}`);
    }
  }
  for (let round = 0; round < options.rounds; round++) {
    for (const connections of options.connections) {
      // Each round begins with another proxy, so that none always runs on a machine that another has warmed.
      for (let i = 0; i < proxies.length; i++) {
        const proxy = proxies[(i + round) % proxies.length];
        if (await stillRuns(proxy, scenario)) await sample(scenario, proxy, connections, round);
      }
    }
  }
  await sampleFixedRate(scenario, proxies);
  await Promise.all(started.map((program) => program.stop()));
  for (const program of started) running.delete(program);
}

async function sample(scenario: ScenarioName, proxy: Running, connections: number, round: number): Promise<void> {
  const before = sum(proxy, processorTime);
  const load = await fullLoad(proxy.url, connections, options.seconds);
  if (!await stillRuns(proxy, scenario)) return;
  const spent = sum(proxy, processorTime) - before;
  const microsecondsPerRequest = spent / 1000 / load.requests;
  const { requestsPerSecond, errors } = load;
  const where = `(${scenarios[scenario].letter}) ${proxy.name}, ${connections} connections, round ${round + 1}`;
  if (errors > 0 || load.requests === 0) results.failures.push(`${where}: ${errors} errors, ${load.requests} answers`);
  results.samples.push({
    scenario,
    proxy: proxy.name,
    connections,
    round,
    requestsPerSecond,
    microsecondsPerRequest,
    errors,
  });
  console.log(`${where}: ${microsecondsPerRequest.toFixed(1)} µs, ${requestsPerSecond.toFixed(0)} requests/s`);
}

async function sampleFixedRate(scenario: ScenarioName, proxies: Running[]): Promise<void> {
  const reached = results.samples.filter((s) => s.scenario === scenario && s.requestsPerSecond > 0);
  const rate = rateShare * Math.min(...reached.map((s) => s.requestsPerSecond));
  if (!Number.isFinite(rate)) return;
  for (const proxy of proxies) {
    if (!await stillRuns(proxy, scenario)) continue;
    const log = join(folder, "h2load.tsv");
    const latency = await fixedRate(proxy.url, usualConnections, rate, options.rateSeconds, log);
    if (latency.errors > 0) {
      results.failures.push(`(${scenarios[scenario].letter}) ${proxy.name} at a fixed rate: ${latency.errors} errors`);
    }
    results.rates.push({ scenario, proxy: proxy.name, connections: usualConnections, ...latency });
    results.memory.push({ scenario, proxy: proxy.name, kibibytes: sum(proxy, residentMemory) });
  }
}

/** False, and noted as a failure, when a program of the proxy has ended. */
async function stillRuns(proxy: Running, scenario: ScenarioName): Promise<boolean> {
  // A program that crashed under the last request's load may need a moment to be gone.
  await new Promise((resolve) => setTimeout(resolve, 20));
  const gone = proxy.programs.filter((program) => program.ended());
  for (const program of gone) results.failures.push(`(${scenarios[scenario].letter}) ${program.name} ended by itself`);
  return gone.length === 0;
}

function sum(proxy: Running, measured: (pid: number) => number): number {
  return proxy.programs.reduce((total, { pid }) => total + measured(pid), 0);
}

/** Throws {@link StartError} unless the application's answer comes through the proxy. */
async function assertAnswers(url: string, authority: string): Promise<void> {
  using client = Deno.createHttpClient({ caCerts: [await Deno.readTextFile(authority)], http2: false });
  let answer: string;
  try {
    const response = await fetch(url, { client, signal: AbortSignal.timeout(5000) });
    answer = `${response.status} with ${(await response.arrayBuffer()).byteLength} bytes`;
  } catch (error) {
    answer = String(error);
  }
  if (answer !== `200 with ${bodyLength} bytes`) {
    throw new StartError(`it does not answer as the application: ${answer}`);
  }
}

function optionsOrExit(): BenchOptions {
  try {
    return readOptions(Deno.args);
  } catch (error) {
    if (!(error instanceof OptionsError)) throw error;
    console.error(`bench: ${error.message}\n${usage}`);
    Deno.exit(2);
  }
}
