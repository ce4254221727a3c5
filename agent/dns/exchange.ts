/** One question to one DNS server: over UDP, and over TCP where the answer does not fit (RFC 1035 §4.2, RFC 7766). */
import { createSocket } from "node:dgram";
import { DnsError } from "./dns_error.ts";
import type { NameServer } from "./system_files.ts";

const headerLength = 12;
/** The flag TC, in the third byte of a message. */
const truncatedFlag = 0x02;
/** The flag QR. */
const responseFlag = 0x80;
const largestMessage = 65_535;

/**
 * The server's answer to a query, which has the query's id.
 *
 * The question goes out from a port of its own that takes datagrams from the server alone, so that nobody else can
 * answer without guessing port and id.
 *
 * @param signal ends the wait
 * @throws {DnsError} when no answer comes
 */
export async function exchange(server: NameServer, query: Uint8Array, signal: AbortSignal): Promise<Uint8Array> {
  const answer = await overUdp(server, query, signal);
  return (answer[2] & truncatedFlag) === 0 ? answer : await overTcp(server, query, signal);
}

async function overUdp(server: NameServer, query: Uint8Array, signal: AbortSignal): Promise<Uint8Array> {
  const { promise, resolve, reject } = Promise.withResolvers<Uint8Array>();
  const abort = () => reject(noAnswer(server));
  if (signal.aborted) throw noAnswer(server);
  const socket = createSocket(server.address.includes(":") ? "udp6" : "udp4");
  signal.addEventListener("abort", abort);
  socket.on("error", (cause) => reject(new DnsError(`${nameOf(server)}: ${cause.message}`, { cause })));
  socket.on("message", (message) => {
    // Whatever else arrives is not the answer; that is still to come.
    if (isAnswerTo(message, query)) resolve(message);
  });
  socket.connect(server.port, server.address, () => socket.send(query));
  try {
    return await promise;
  } finally {
    signal.removeEventListener("abort", abort);
    socket.close();
  }
}

async function overTcp(server: NameServer, query: Uint8Array, signal: AbortSignal): Promise<Uint8Array> {
  let connection: Deno.TcpConn | undefined;
  const abort = () => connection?.close();
  try {
    connection = await Deno.connect({ hostname: server.address, port: server.port, signal });
    signal.addEventListener("abort", abort);
    const framed = new Uint8Array(2 + query.length);
    new DataView(framed.buffer).setUint16(0, query.length);
    framed.set(query, 2);
    await writeAll(connection, framed);
    const length = await readExactly(connection, 2);
    const answer = await readExactly(connection, length[0] << 8 | length[1]);
    if (!isAnswerTo(answer, query)) throw new DnsError(`${nameOf(server)}: the answer is to another question`);
    return answer;
  } catch (cause) {
    if (cause instanceof DnsError) throw cause;
    throw signal.aborted ? noAnswer(server) : new DnsError(`${nameOf(server)}: ${(cause as Error).message}`, { cause });
  } finally {
    signal.removeEventListener("abort", abort);
    if (!signal.aborted) connection?.close();
  }
}

async function writeAll(connection: Deno.Conn, bytes: Uint8Array): Promise<void> {
  for (let sent = 0; sent < bytes.length;) sent += await connection.write(bytes.subarray(sent));
}

async function readExactly(connection: Deno.Conn, length: number): Promise<Uint8Array> {
  const bytes = new Uint8Array(Math.min(length, largestMessage));
  for (let have = 0; have < bytes.length;) {
    const count = await connection.read(bytes.subarray(have));
    if (count === null) throw new DnsError("the answer breaks off");
    have += count;
  }
  return bytes;
}

function isAnswerTo(message: Uint8Array, query: Uint8Array): boolean {
  return message.length >= headerLength && message[0] === query[0] && message[1] === query[1] &&
    (message[2] & responseFlag) !== 0;
}

function noAnswer(server: NameServer): DnsError {
  return new DnsError(`${nameOf(server)}: no answer in time`);
}

function nameOf({ address, port }: NameServer): string {
  return address.includes(":") ? `[${address}]:${port}` : `${address}:${port}`;
}
