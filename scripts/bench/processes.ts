/** Processes of a benchmark: started, waited for, measured by what the kernel counted for them, ended. */

/** A program that runs until {@link stop}. */
export interface Program {
  name: string;
  pid: number;
  ended(): boolean;
  stop(): Promise<void>;
}

/** A program did not come up; the message holds the end of what it printed. */
export class StartError extends Error {
  override readonly name = "StartError";
}

/** Milliseconds. A control plane reads a large mesh before it listens. */
const startDeadline = 60_000;
/** Shell: as many descriptors as scenarios ask for, else as many as this user may have. */
export const raiseLimit = 'ulimit -n 40000 2>/dev/null || ulimit -n "$(ulimit -Hn)"';

/** How many descriptors a program started here may have. */
export function descriptorLimit(): number {
  const { stdout } = new Deno.Command("sh", { args: ["-c", `${raiseLimit}; ulimit -n`], stderr: "null" }).outputSync();
  return Number(new TextDecoder().decode(stdout));
}

/**
 * Starts a program, with as many descriptors as it may have, and waits until it accepts connections on a loopback port.
 * Throws {@link StartError} when it ends or stays silent instead.
 */
export async function startProgram(name: string, command: string, args: string[], port: number): Promise<Program> {
  const child = new Deno.Command("sh", {
    args: ["-c", `${raiseLimit}; exec "$0" "$@"`, command, ...args],
    env: { NO_COLOR: "1" },
    stdin: "null",
    stdout: "null",
    stderr: "piped",
  }).spawn();
  let printed = "";
  const reading = (async () => {
    for await (const text of child.stderr.pipeThrough(new TextDecoderStream())) printed = (printed + text).slice(-2000);
  })();
  let ended = false;
  const status = child.status.then((value) => {
    ended = true;
    return value;
  });
  const stop = async () => {
    if (!ended) child.kill("SIGTERM");
    const killing = setTimeout(() => child.kill("SIGKILL"), 3000);
    await status;
    clearTimeout(killing);
    await reading;
  };
  const deadline = performance.now() + startDeadline;
  while (!await accepts(port)) {
    if (ended || performance.now() > deadline) {
      await stop();
      throw new StartError(
        `${name} does not accept connections on port ${port}: ${printed.trim() || "it said nothing"}`,
      );
    }
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  return { name, pid: child.pid, ended: () => ended, stop };
}

async function accepts(port: number): Promise<boolean> {
  try {
    (await Deno.connect({ hostname: "127.0.0.1", port })).close();
    return true;
  } catch {
    return false;
  }
}

/** A loopback port that was free a moment ago. */
export function freePort(): number {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  return listener.addr.port;
}

/** Processor time of a process, its threads and its descendants, in nanoseconds (`/proc/PID/task/TID/schedstat`). */
export function processorTime(pid: number): number {
  let sum = 0;
  for (const each of family(pid)) {
    for (const task of Deno.readDirSync(`/proc/${each}/task`)) {
      sum += Number(read(`/proc/${each}/task/${task.name}/schedstat`).split(" ")[0]);
    }
  }
  return sum;
}

/** Resident memory of a process and its descendants, in KiB. */
export function residentMemory(pid: number): number {
  return statusSum(pid, /^VmRSS:\s+(\d+) kB/m);
}

/** Of {@link residentMemory} what is not a file's, in KiB. */
export function anonymousMemory(pid: number): number {
  return statusSum(pid, /^RssAnon:\s+(\d+) kB/m);
}

function statusSum(pid: number, line: RegExp): number {
  return family(pid).reduce((sum, each) => sum + Number(read(`/proc/${each}/status`).match(line)?.[1] ?? 0), 0);
}

function family(pid: number): number[] {
  const children = [...Deno.readDirSync(`/proc/${pid}/task`)].flatMap((task) =>
    read(`/proc/${pid}/task/${task.name}/children`).split(" ").filter(Boolean).map(Number)
  );
  return [pid, ...children.flatMap(family)];
}

/** A file of `/proc`; empty when the thread has ended meanwhile. */
function read(path: string): string {
  try {
    return Deno.readTextFileSync(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return "";
    throw error;
  }
}
