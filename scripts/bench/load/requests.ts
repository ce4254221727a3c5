/** As many requests to one address as it answers: wrk for HTTP/1.1, h2load for HTTP/2 and gRPC. */
import { join } from "node:path";
import { emptyMessage } from "../contestants/nginx.ts";

export interface Load {
  requests: number;
  /** Requests that failed, or were answered with anything but 2xx or 3xx. */
  errors: number;
  requestsPerSecond: number;
}

/** HTTP/1.1 on `connections` kept-alive connections. */
export async function http1Load(url: string, connections: number, seconds: number): Promise<Load> {
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

/** Streams in flight on each connection. */
const streams = 100;

/** HTTP/2 with 100 streams in flight on each connection; without TLS by prior knowledge. */
export async function http2Load(
  url: string,
  connections: number,
  seconds: number,
  request: string[] = [],
): Promise<Load> {
  const args = ["-t1", `-c${connections}`, `-m${streams}`, `--duration=${seconds}`, ...request, url];
  const output = await run("h2load", args);
  // Failed are those that were answered with 4xx or 5xx, and those that were not.
  const counts = output.match(/(\d+) succeeded, (\d+) failed/)?.slice(1).map(Number) ?? [0, 0];
  return { requests: counts[0], errors: counts[1], requestsPerSecond: counts[0] / seconds };
}

/** Unary gRPC calls with an empty message. */
export async function grpcLoad(url: string, connections: number, seconds: number, folder: string): Promise<Load> {
  const message = join(folder, "call");
  await Deno.writeFile(message, emptyMessage);
  return http2Load(`${url}bench.Bench/Call`, connections, seconds, [
    ...["-H", "content-type: application/grpc", "-H", "te: trailers", "-d", message],
  ]);
}

async function run(program: string, args: string[]): Promise<string> {
  const { success, stdout, stderr } = await new Deno.Command(program, { args, stdin: "null" }).output();
  const decoder = new TextDecoder();
  if (!success) throw new Error(`${program} ${args.join(" ")}: ${decoder.decode(stderr)}${decoder.decode(stdout)}`);
  return decoder.decode(stdout);
}
