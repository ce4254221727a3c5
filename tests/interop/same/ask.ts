/** Asking one side, byte by byte, and what came back. */
import type { Request } from "./case.ts";
import type { Seen } from "./servers.ts";
import type { Side } from "./side_by_side.ts";

export interface Answer {
  /** 0: none. */
  status: number;
  /** In order of name; values that differ from run to run are left out. */
  headers: [string, string][];
  body: string;
  /** `null`: no server has answered. */
  seen: Seen | null;
  /** The proxy has closed the connection, or says that it will. */
  closed: boolean;
}

/** Headers of responses and requests whose values say only when, or how long. */
const volatile = /^(date|x-envoy-upstream-service-time|x-envoy-expected-rq-timeout-ms|x-request-id|content-length)$/;
const patience = 5_000;
/** Milliseconds of silence after which a connection that stays open is taken to have said all. */
const quiet = 150;

export async function ask(port: number, side: Side, request: Request): Promise<Answer> {
  using connection = await Deno.connect({ hostname: "127.0.0.1", port });
  const text = (request.raw ?? written(request)).replaceAll("SIDE", side);
  const sent = send(connection, latin1(text)).catch(() => {});
  const { received, closed } = await receive(connection);
  await sent;
  // Interim responses may come or not.
  const answer = parsed(received.replace(/^(HTTP\/1\.1 1\d\d (?!.*Switching)[^\r]*\r\n\r\n)+/, ""));
  // Envoy leaves it to the caller to be first, for a second.
  return { ...answer, closed: closed || answer.headers.some((each) => each.join() === "connection,close") };
}

function written({ method = "GET", path = "/", host = "a.test", headers = [], body }: Request): string {
  const lines = [`${method} ${path} HTTP/1.1`, `Host: ${host}`, ...headers.map(([name, value]) => `${name}: ${value}`)];
  if (body !== undefined) lines.push(`Content-Length: ${body.length}`);
  return `${lines.join("\r\n")}\r\nConnection: close\r\n\r\n${body ?? ""}`;
}

async function send(connection: Deno.Conn, bytes: Uint8Array): Promise<void> {
  for (let sent = 0; sent < bytes.length;) sent += await connection.write(bytes.subarray(sent));
}

async function receive(connection: Deno.Conn): Promise<{ received: string; closed: boolean }> {
  let received = "";
  const buffer = new Uint8Array(65536);
  const deadline = performance.now() + patience;
  for (;;) {
    const { promise, resolve } = Promise.withResolvers<"late">();
    // An answer that is whole needs no end of the connection; none at all may take its time.
    const wait = complete(received) ? quiet : Math.max(1, deadline - performance.now());
    const timer = setTimeout(() => resolve("late"), wait);
    const count = await Promise.race([connection.read(buffer).catch(() => null), promise]);
    clearTimeout(timer);
    if (count === "late") return { received, closed: false };
    if (count === null) return { received, closed: true };
    received += new TextDecoder("latin1").decode(buffer.subarray(0, count));
  }
}

function complete(text: string): boolean {
  const end = text.indexOf("\r\n\r\n");
  if (end < 0) return false;
  const head = text.slice(0, end).toLowerCase();
  const length = /\r\ncontent-length: (\d+)/.exec(head);
  if (length !== null) return text.length >= end + 4 + Number(length[1]);
  return !/\r\ntransfer-encoding: chunked/.test(head) || text.endsWith("0\r\n\r\n");
}

function parsed(text: string): Omit<Answer, "closed"> {
  const end = text.indexOf("\r\n\r\n");
  if (end < 0) return { status: 0, headers: [], body: text, seen: null };
  const [start, ...lines] = text.slice(0, end).split("\r\n");
  const all = lines.map((line): [string, string] => {
    const colon = line.indexOf(":");
    return [line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim()];
  });
  const chunked = all.some(([name, value]) => name === "transfer-encoding" && value === "chunked");
  const body = chunked ? dechunked(text.slice(end + 4)) : text.slice(end + 4);
  const json = all.some(([name, value]) => name === "content-type" && value === "application/json");
  let seen: Seen | null = null;
  if (json && body !== "") {
    seen = JSON.parse(body) as Seen;
    seen.headers = stable(seen.headers);
  }
  return { status: Number(start.split(" ")[1]), headers: stable(all), body: seen === null ? body : "", seen };
}

function stable(headers: [string, string][]): [string, string][] {
  return headers
    .map(([name, value]): [string, string] => [name, volatile.test(name) ? "(some)" : value])
    .sort(([one], [other]) => one < other ? -1 : one > other ? 1 : 0);
}

function dechunked(text: string): string {
  let body = "";
  for (let at = 0;;) {
    const line = text.indexOf("\r\n", at);
    const size = parseInt(text.slice(at, line), 16);
    if (line < 0 || !(size > 0)) return body;
    body += text.slice(line + 2, line + 2 + size);
    at = line + 2 + size + 2;
  }
}

function latin1(text: string): Uint8Array<ArrayBuffer> {
  return Uint8Array.from(text, (character) => character.charCodeAt(0));
}
