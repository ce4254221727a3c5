/** One run of the benchmark: proxies started, taken in turns, measured, ended. */
import { bodyLength, emptyMessage, startApplication } from "./contestants/nginx.ts";
import type { Certificates } from "./certificates.ts";
import type { BenchOptions } from "./options.ts";
import { freePort, processorTime, type Program, residentMemory, StartError } from "./processes.ts";
import type { Results, Table } from "./report.ts";
import type { Contestant, Scenario, Setting, Work } from "./scenario.ts";

/** A proxy that runs and answers. */
export interface Running {
  name: string;
  /** Where load comes in. */
  port: number;
  /** Of `/`, for callers of the work's kind. */
  url: string;
  programs: Program[];
}

export class Bench {
  readonly #running = new Set<Program>();

  constructor(
    readonly options: BenchOptions,
    readonly contestants: Contestant[],
    readonly certificates: Certificates,
    /** For files that go with the run. */
    readonly folder: string,
    readonly results: Results,
  ) {}

  /** Starts every proxy that can do the work before the same application, hands them over, and ends them. */
  async withProxies(
    scenario: Scenario,
    work: Work,
    measure: (proxies: Running[]) => Promise<void>,
    contestants = this.contestants,
  ): Promise<void> {
    const { folder, certificates } = this;
    const ports = { front: 0, between: 0, application: freePort() };
    const setting: Setting = { ...work, folder, certificates, ports };
    const started = [await this.#keep(startApplication(setting))].flat();
    const proxies: Running[] = [];
    for (const contestant of contestants) {
      const own = { ...setting, ports: { ...ports, front: freePort(), between: freePort() } };
      const unable = contestant.unable?.(own) ?? null;
      if (unable !== null) {
        console.log(`(${scenario.letter}) without ${contestant.name}: ${unable}`);
        continue;
      }
      try {
        const programs = await this.#keep(contestant.start(own));
        started.push(...programs);
        const url = `${work.callers === "plaintext" ? "http" : "https"}://127.0.0.1:${own.ports.front}/`;
        await assertAnswers(url, own);
        proxies.push({ name: contestant.name, port: own.ports.front, url, programs });
      } catch (error) {
        if (!(error instanceof StartError)) throw error;
        this.fail(scenario, `${contestant.name}: ${error.message}`);
      }
    }
    await measure(proxies);
    await Promise.all(started.map((program) => program.stop()));
    for (const program of started) this.#running.delete(program);
  }

  /**
   * Takes the proxies in turns, as many rounds as the options say. Each round begins with another one, so that none
   * always runs on a machine that another has warmed.
   */
  async inTurns(
    scenario: Scenario,
    proxies: Running[],
    measure: (proxy: Running, round: number) => Promise<void>,
  ): Promise<void> {
    for (let round = 0; round < this.options.rounds; round++) {
      for (let i = 0; i < proxies.length; i++) {
        const proxy = proxies[(i + round) % proxies.length];
        if (!await this.#stillRuns(scenario, proxy)) continue;
        try {
          await measure(proxy, round);
        } catch (error) {
          this.fail(scenario, `${proxy.name}: ${error instanceof Error ? error.message : error}`);
        }
        await this.#stillRuns(scenario, proxy);
      }
    }
  }

  /** Processor time that a proxy spends while something is done, in nanoseconds, with what was done. */
  async spent<Done>(proxy: Running, work: () => Promise<Done>): Promise<[nanoseconds: number, done: Done]> {
    const before = sum(proxy, processorTime);
    const done = await work();
    return [sum(proxy, processorTime) - before, done];
  }

  /** KiB of all the proxy's processes. */
  memory(proxy: Running): number {
    return sum(proxy, residentMemory);
  }

  /** Notes a value, and prints it. */
  record(scenario: Scenario, table: Table, row: string, proxy: string, round: number, value: number): void {
    this.results.values.push({ scenario: scenario.letter, table, row, proxy, round, value });
    const shown = value >= 100 ? value.toFixed(0) : value.toFixed(2);
    console.log(`(${scenario.letter}) ${proxy}, ${row}, round ${round + 1}: ${shown} ${table}`);
  }

  fail(scenario: Scenario, message: string): void {
    this.results.failures.push(`(${scenario.letter}) ${message}`);
  }

  /** Ends every program that runs. */
  async stop(): Promise<void> {
    await Promise.all([...this.#running].map((program) => program.stop()));
  }

  async #keep<Started extends Program | Program[]>(starting: Promise<Started>): Promise<Started> {
    const started = await starting;
    for (const program of [started].flat()) this.#running.add(program);
    return started;
  }

  /** False, and noted as a failure, when a program of the proxy has ended. */
  async #stillRuns(scenario: Scenario, proxy: Running): Promise<boolean> {
    // A program that crashed under the last request's load may need a moment to be gone.
    await new Promise((resolve) => setTimeout(resolve, 20));
    const gone = proxy.programs.filter((program) => program.ended());
    for (const { name } of gone) {
      const message = `${name} ended by itself`;
      if (!this.results.failures.includes(`(${scenario.letter}) ${message}`)) this.fail(scenario, message);
    }
    return gone.length === 0;
  }
}

function sum(proxy: Running, measured: (pid: number) => number): number {
  return proxy.programs.reduce((total, { pid }) => total + measured(pid), 0);
}

/** Throws {@link StartError} unless the application's answer comes through the proxy. */
async function assertAnswers(url: string, setting: Setting): Promise<void> {
  const { authority, front } = setting.certificates;
  const grpc = setting.protocol === "grpc";
  const own = setting.callers === "mutual"
    ? { cert: await Deno.readTextFile(front.certificate), key: await Deno.readTextFile(front.key) }
    : {};
  using client = Deno.createHttpClient({
    caCerts: [await Deno.readTextFile(authority)],
    ...own,
    http1: !grpc,
    http2: grpc,
  });
  const call = { method: "POST", headers: { "content-type": "application/grpc", te: "trailers" }, body: emptyMessage };
  let answer: string;
  try {
    const signal = AbortSignal.timeout(5000);
    const response = await fetch(url, { client, signal, ...(grpc ? call : {}) });
    answer = `${response.status} with ${(await response.arrayBuffer()).byteLength} bytes`;
  } catch (error) {
    answer = String(error);
  }
  const expected = `200 with ${grpc ? emptyMessage.length : bodyLength} bytes`;
  if (answer !== expected) throw new StartError(`it does not answer as the application (${expected}): ${answer}`);
}
