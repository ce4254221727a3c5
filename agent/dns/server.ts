/** The agent's DNS server: UDP and TCP on one address and port (RFC 1035 §4.2, RFC 7766). */
import { Buffer } from "node:buffer";
import { createSocket, type Socket } from "node:dgram";
import type { Answerer } from "./answer.ts";

/** TCP connections at the same time, at the most; more are closed at once. */
const mostConnections = 64;
/** Milliseconds without a whole query after which a connection is closed. */
const idleTimeout = 10_000;
/** Answers to datagrams in the making, at the most; queries beyond are dropped, as a network would. */
const mostDatagrams = 1024;

export class DnsServer {
  readonly #connections = new Set<Deno.Conn>();
  #answering = 0;
  #stopped = false;

  private constructor(
    readonly address: string,
    readonly port: number,
    private readonly answerer: Answerer,
    private readonly socket: Socket,
    private readonly listener: Deno.Listener,
  ) {
    // Datagrams that cannot be sent are lost, as datagrams may be.
    socket.on("error", () => {});
    socket.on("message", (query, peer) => void this.#datagram(query, peer));
    void this.#accept();
  }

  /** @throws Error when the address cannot be bound */
  static async start(address: string, port: number, answerer: Answerer): Promise<DnsServer> {
    const listener = Deno.listen({ hostname: address, port });
    const bound = (listener.addr as Deno.NetAddr).port;
    const socket = createSocket(address.includes(":") ? "udp6" : "udp4");
    try {
      await new Promise<void>((resolve, reject) => {
        socket.once("error", reject);
        socket.bind(bound, address, resolve);
      });
    } catch (error) {
      listener.close();
      throw error;
    }
    socket.removeAllListeners("error");
    return new DnsServer(address, bound, answerer, socket, listener);
  }

  stop(): void {
    if (this.#stopped) return;
    this.#stopped = true;
    this.socket.close();
    this.listener.close();
    for (const connection of this.#connections) close(connection);
  }

  async #datagram(query: Uint8Array, peer: { address: string; port: number }): Promise<void> {
    if (this.#answering >= mostDatagrams) return;
    this.#answering++;
    const answer = await this.answerer.answer(query, true).catch(() => null);
    this.#answering--;
    if (answer !== null && !this.#stopped) this.socket.send(Buffer.from(answer), peer.port, peer.address);
  }

  async #accept(): Promise<void> {
    while (!this.#stopped) {
      const connection = await this.listener.accept().catch(() => null);
      if (connection === null) {
        // Out of descriptors, or stopped: trying again at once would only spin.
        if (!this.#stopped) await new Promise((resolve) => setTimeout(resolve, 100));
      } else if (this.#connections.size >= mostConnections) close(connection);
      else void this.#serve(connection);
    }
  }

  /** One query after the other, until the caller ends or takes too long. */
  async #serve(connection: Deno.Conn): Promise<void> {
    this.#connections.add(connection);
    try {
      for (;;) {
        const query = await this.#query(connection);
        if (query === null) return;
        const answer = await this.answerer.answer(query, false);
        if (answer === null) return;
        const timer = setTimeout(() => close(connection), idleTimeout);
        await writeAll(connection, framed(answer)).finally(() => clearTimeout(timer));
      }
    } catch {
      // Whatever went wrong costs this connection.
    } finally {
      this.#connections.delete(connection);
      close(connection);
    }
  }

  async #query(connection: Deno.Conn): Promise<Uint8Array | null> {
    const timer = setTimeout(() => close(connection), idleTimeout);
    try {
      const length = await readExactly(connection, 2);
      return length === null ? null : await readExactly(connection, length[0] << 8 | length[1]);
    } finally {
      clearTimeout(timer);
    }
  }
}

function framed(message: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(2 + message.length);
  new DataView(bytes.buffer).setUint16(0, message.length);
  bytes.set(message, 2);
  return bytes;
}

/** `null` when the stream ends before. */
async function readExactly(connection: Deno.Conn, length: number): Promise<Uint8Array | null> {
  const bytes = new Uint8Array(length);
  for (let have = 0; have < length;) {
    const count = await connection.read(bytes.subarray(have));
    if (count === null) return null;
    have += count;
  }
  return bytes;
}

async function writeAll(connection: Deno.Conn, bytes: Uint8Array): Promise<void> {
  for (let sent = 0; sent < bytes.length;) sent += await connection.write(bytes.subarray(sent));
}

/** Two may want to close one connection. */
function close(connection: Deno.Conn): void {
  try {
    connection.close();
  } catch {
    // It is closed already.
  }
}
