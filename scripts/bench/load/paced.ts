/**
 * Requests at a constant rate, whatever the answers do: the generator that wrk and h2load are not (wrk has no rate;
 * h2load sends what falls due within 10 ms at once, and counts a request's time from when it was sent).
 *
 * What falls due within a millisecond goes out at its beginning, each request on a connection that is free. A request
 * for which none is free waits, and its time runs from when it was due: a proxy that stalls is charged for all that it
 * kept waiting, so nothing is omitted. Runs as a process of its own: `paced.ts PORT RATE CONNECTIONS SECONDS
 * AUTHORITY`, the last a PEM file for TLS or empty; prints {@link Latency} as JSON.
 */
import { Epoll, EPOLLIN, EPOLLOUT } from "../../../agent/sys/epoll.ts";
import { newSlab } from "../../../agent/sys/slab.ts";
import { Socket, WOULD_BLOCK } from "../../../agent/sys/socket.ts";
import { TlsContext } from "../../../agent/sys/tls_context.ts";
import { HANDSHAKE_DONE, HANDSHAKE_FAILED, TlsSession } from "../../../agent/sys/tls_session.ts";

/** Times in milliseconds. */
export interface Latency {
  p50: number;
  p99: number;
  p999: number;
  /** Requests that were due and not answered. */
  errors: number;
}

/** Runs the generator as a child. Throws with its words when it fails. */
export async function pacedLoad(
  port: number,
  rate: number,
  connections: number,
  seconds: number,
  authority: string | null,
): Promise<Latency> {
  const numbers = [port, rate, connections, seconds].map(String);
  const { success, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--no-check", import.meta.filename!, ...numbers, authority ?? ""],
    stdin: "null",
  }).output();
  if (!success) throw new Error(`load at a constant rate: ${new TextDecoder().decode(stderr)}`);
  return JSON.parse(new TextDecoder().decode(stdout));
}

/** A kept-alive connection with at most one request in flight. */
interface Connection {
  socket: Socket;
  /** What bytes go through: the socket, or TLS over it. */
  bytes: Pick<Socket, "read" | "write">;
  /** When the request in flight was due, in milliseconds; -1: none is. */
  due: number;
  /** Bytes of the answer that are still to come; -1 before its head. */
  left: number;
}

const decoder = new TextDecoder();
const slab = newSlab(64 * 1024);
const request = new TextEncoder().encode("GET / HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n");

/** Connected, and past the handshake where there is one. */
function connect(port: number, context: TlsContext | null): Connection {
  const epoll = new Epoll();
  const socket = Socket.connect("127.0.0.1", port);
  epoll.add(socket.descriptor, EPOLLOUT);
  epoll.wait(5000);
  const connection: Connection = { socket, bytes: socket, due: -1, left: 0 };
  if (context !== null) {
    const session = new TlsSession(context, socket, "");
    epoll.modify(socket.descriptor, EPOLLIN);
    for (let step = session.handshake(); step !== HANDSHAKE_DONE; step = session.handshake()) {
      if (step === HANDSHAKE_FAILED) throw new Error(`the handshake fails: ${session.failure}`);
      epoll.wait(5000);
    }
    connection.bytes = session;
  }
  epoll.close();
  return connection;
}

/** Reads what has come; whether the answer is whole. Throws when it is not one of 200. */
function readAnswer(connection: Connection): boolean {
  while (true) {
    const count = connection.bytes.read(slab.bytes, slab.pointer, 0, slab.bytes.length);
    if (count === WOULD_BLOCK) return false;
    if (count <= 0) throw new Error("the proxy closes a connection");
    let body = count;
    if (connection.left === -1) {
      // A head comes whole: the answer is smaller than a segment.
      const text = decoder.decode(slab.bytes.subarray(0, count));
      const end = text.indexOf("\r\n\r\n");
      const length = Number(/^content-length: (\d+)/im.exec(text)?.[1] ?? NaN);
      if (!text.startsWith("HTTP/1.1 200 ") || end < 0 || Number.isNaN(length)) {
        throw new Error(`an answer begins with ${text.slice(0, 40)}`);
      }
      connection.left = length;
      body = count - end - 4;
    }
    connection.left -= body;
    if (connection.left === 0) return true;
  }
}

function measure(port: number, rate: number, count: number, seconds: number, authority: string): Latency {
  const context = authority === "" ? null : new TlsContext({
    side: "client",
    certificateChain: "",
    privateKey: "",
    trustBundle: Deno.readTextFileSync(authority),
    systemTrust: false,
    requirePeerCertificate: false,
    alpn: ["http/1.1"],
    minimumVersion: "1.3",
    maximumVersion: "1.3",
    resumption: false,
  });
  const epoll = new Epoll();
  const byDescriptor = new Map<number, Connection>();
  const free: Connection[] = [];
  for (let i = 0; i < count; i++) {
    const connection = connect(port, context);
    byDescriptor.set(connection.socket.descriptor, connection);
    epoll.add(connection.socket.descriptor, EPOLLIN);
    free.push(connection);
  }
  const total = Math.round(rate * seconds);
  const times = new Float64Array(total);
  let sent = 0;
  let answered = 0;
  const start = performance.now() + 10;
  /** Beginning of the millisecond in which a request is due. */
  const dueAt = (index: number) => start + Math.floor(index * 1000 / rate);
  // A second of grace: what has not been answered by then counts as an error.
  const end = start + (seconds + 1) * 1000;
  while (answered < total) {
    const now = performance.now();
    if (now > end) break;
    while (sent < total && free.length > 0 && dueAt(sent) <= now) {
      const connection = free.pop()!;
      connection.due = dueAt(sent++);
      connection.left = -1;
      if (connection.bytes.write(request, null, 0, request.length) !== request.length) {
        throw new Error("a write blocks");
      }
    }
    const rest = sent < total && free.length > 0 ? Math.max(0, Math.ceil(dueAt(sent) - performance.now())) : 100;
    const ready = epoll.wait(rest);
    for (let i = 0; i < ready; i++) {
      const connection = byDescriptor.get(epoll.descriptorAt(i))!;
      if (!readAnswer(connection) || connection.due < 0) continue;
      times[answered++] = performance.now() - connection.due;
      connection.due = -1;
      free.push(connection);
    }
  }
  const sorted = times.subarray(0, answered).sort();
  const at = (share: number) => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0;
  return { p50: at(0.5), p99: at(0.99), p999: at(0.999), errors: total - answered };
}

if (import.meta.main) {
  const [port, rate, connections, seconds] = Deno.args.slice(0, 4).map(Number);
  console.log(JSON.stringify(measure(port, rate, connections, seconds, Deno.args[4])));
}
