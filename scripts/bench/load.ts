/** Load on one address: wrk as fast as it goes, h2load at a fixed rate. */

export interface Load {
  requests: number;
  /** Requests that failed, or were answered with anything but 2xx or 3xx. */
  errors: number;
  requestsPerSecond: number;
}

/** Milliseconds. */
export interface Latency {
  p50: number;
  p99: number;
  p999: number;
  /** What was offered and what was reached. */
  offered: number;
  reached: number;
  errors: number;
}

/** As many requests as `connections` kept-alive connections can carry. */
export async function fullLoad(url: string, connections: number, seconds: number): Promise<Load> {
  const output = await run("wrk", ["-t1", `-c${connections}`, `-d${seconds}s`, "--timeout", "5s", url]);
  const requests = Number(output.match(/(\d+) requests in/)?.[1] ?? 0);
  const socket = output.match(/Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)/)?.slice(1) ?? [];
  const refused = Number(output.match(/Non-2xx or 3xx responses: (\d+)/)?.[1] ?? 0);
  return {
    requests,
    errors: socket.reduce((sum, count) => sum + Number(count), refused),
    requestsPerSecond: Number(output.match(/Requests\/sec:\s+([\d.]+)/)?.[1] ?? 0),
  };
}

/** `rate` requests a second spread over the connections. A request's time runs from when it is sent. */
export async function fixedRate(
  url: string,
  connections: number,
  rate: number,
  seconds: number,
  logFile: string,
): Promise<Latency> {
  const perConnection = Math.max(1, Math.round(rate / connections));
  await run("h2load", [
    ...["--h1", "-t1", `-c${connections}`, `--rps=${perConnection}`, `--duration=${seconds}`],
    ...[`--log-file=${logFile}`, url],
  ]);
  const rows = (await Deno.readTextFile(logFile)).trimEnd().split("\n").map((row) => row.split("\t").map(Number));
  await Deno.remove(logFile);
  const times = Float64Array.from(rows, (row) => row[2]).sort();
  const at = (share: number) => times[Math.min(times.length - 1, Math.floor(times.length * share))] / 1000;
  return {
    p50: at(0.5),
    p99: at(0.99),
    p999: at(0.999),
    offered: perConnection * connections,
    reached: Math.round(rows.length / seconds),
    errors: rows.filter((row) => !(row[1] >= 200 && row[1] < 400)).length,
  };
}

async function run(program: string, args: string[]): Promise<string> {
  const { success, stdout, stderr } = await new Deno.Command(program, { args, stdin: "null" }).output();
  const decoder = new TextDecoder();
  if (!success) throw new Error(`${program} ${args.join(" ")}: ${decoder.decode(stderr)}${decoder.decode(stdout)}`);
  return decoder.decode(stdout);
}
