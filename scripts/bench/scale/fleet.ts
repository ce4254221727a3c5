/** Simulated agents in child processes, driven together. */
import { fileURLToPath } from "node:url";
import { join } from "node:path";
import type { ClientIdentity } from "../../../controlplane/testing/ads_client.ts";
import { TextLineStream } from "./text_lines.ts";

/** What one child process is told. */
export interface FleetPart {
  /** Number of its first agent. */
  first: number;
  agents: number;
  /** How many services the agents are members of. */
  services: number;
  identity: ClientIdentity;
}

/** `await`: until each agent has endpoints of this cluster; answered once when it is listening, and once when they are there. */
export type Command = { kind: "connect"; port: number } | { kind: "await"; cluster: string } | { kind: "close" };

export interface Answer {
  /** Milliseconds since the epoch, one for each agent. */
  times: number[];
  /** Why streams have ended that were to stay. */
  ended: string[];
}

interface Part {
  child: Deno.ChildProcess;
  input: WritableStreamDefaultWriter<Uint8Array>;
  output: ReadableStreamDefaultReader<string>;
}

const encoder = new TextEncoder();

export class Fleet {
  readonly #parts: Part[];
  readonly agents: number;
  /** How often a stream had to be opened anew, by why the one before had ended. */
  readonly retries = new Map<string, number>();

  private constructor(parts: Part[], agents: number) {
    this.#parts = parts;
    this.agents = agents;
  }

  /** @param folder for what the child processes are told */
  static async start(options: {
    folder: string;
    agents: number;
    services: number;
    identity: ClientIdentity;
    processes: number;
  }): Promise<Fleet> {
    const { folder, agents, services, identity, processes } = options;
    const parts: Part[] = [];
    for (let index = 0; index < processes; index++) {
      const first = Math.floor(agents * index / processes);
      const part: FleetPart = {
        first,
        agents: Math.floor(agents * (index + 1) / processes) - first,
        services,
        identity,
      };
      const file = join(folder, `fleet-${crypto.randomUUID()}.json`);
      await Deno.writeTextFile(file, JSON.stringify(part));
      const script = fileURLToPath(new URL("./fleet_process.ts", import.meta.url));
      const child = new Deno.Command(Deno.execPath(), {
        args: ["run", "-A", "--no-check", "--v8-flags=--max-semi-space-size=2", script, file],
        stdin: "piped",
        stdout: "piped",
        stderr: "inherit",
      }).spawn();
      const output = child.stdout.pipeThrough(new TextDecoderStream()).pipeThrough(new TextLineStream()).getReader();
      parts.push({ child, input: child.stdin.getWriter(), output });
    }
    return new Fleet(parts, agents);
  }

  /** Connects all agents at once. @returns when each had its first complete configuration, in milliseconds since the epoch */
  async connect(port: number): Promise<number[]> {
    await this.#tell({ kind: "connect", port });
    return await this.#times();
  }

  /** Has `change` done, and waits until each agent has the endpoints of a cluster that it changes. */
  async awaitEndpoints(cluster: string, change: () => Promise<void>): Promise<number[]> {
    await this.#tell({ kind: "await", cluster });
    await this.#answers();
    await change();
    return await this.#times();
  }

  async close(): Promise<void> {
    await this.#tell({ kind: "close" });
    await this.#answers();
  }

  async stop(): Promise<void> {
    for (const { input, output, child } of this.#parts) {
      await input.close().catch(() => {});
      await output.cancel().catch(() => {});
      try {
        child.kill("SIGKILL");
      } catch {
        // It has ended by itself.
      }
      await child.status;
    }
  }

  async #tell(command: Command): Promise<void> {
    for (const { input } of this.#parts) await input.write(encoder.encode(JSON.stringify(command) + "\n"));
  }

  async #times(): Promise<number[]> {
    const answers = await this.#answers();
    for (const reason of answers.flatMap(({ ended }) => ended)) {
      this.retries.set(reason, (this.retries.get(reason) ?? 0) + 1);
    }
    return answers.flatMap(({ times }) => times);
  }

  #answers(): Promise<Answer[]> {
    return Promise.all(this.#parts.map(async ({ output }) => {
      const { value, done } = await output.read();
      if (done) throw new Error("a process of simulated agents has ended by itself");
      return JSON.parse(value) as Answer;
    }));
  }
}
