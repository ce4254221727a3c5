/** Peers of TCP tests: servers of the test's own, clients that read to the end, what a connection costs the process. */
import { latin1 } from "../../agent/decode/characters.ts";
import type { FilterChainConfig, TcpProxyConfig } from "../../agent/config/model.ts";
import type { Series } from "../../agent/supervisor/series.ts";
import { filterChain } from "./harness.ts";

/** Byte by byte: what the platform calls latin1 is another encoding. */
export const text = (bytes: Uint8Array) => latin1(bytes, 0, bytes.length);
export const bytes = (text: string) => new TextEncoder().encode(text);

/** A filter chain with a TCP proxy to the cluster `backend`. */
export function tcpChain(
  overrides: Partial<TcpProxyConfig> = {},
  chain: Partial<FilterChainConfig> = {},
): FilterChainConfig {
  return filterChain({
    http: null,
    tcp: {
      statPrefix: "tcp",
      clusters: [{ name: "backend", weight: 1 }],
      idleTimeout: 3_600_000,
      maxConnectAttempts: 1,
      ...overrides,
    },
    ...chain,
  });
}

/** A TCP server that hands each connection to `serve`, and closes it afterwards. */
export class TcpServer implements AsyncDisposable {
  readonly port: number;
  connections = 0;
  readonly #listener: Deno.TcpListener;
  readonly #serving: Promise<void>;
  readonly #open = new Set<Deno.TcpConn>();
  #closing = false;

  constructor(serve: (connection: Deno.TcpConn) => Promise<void>) {
    this.#listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
    this.port = this.#listener.addr.port;
    this.#serving = this.#accept(serve);
  }

  async #accept(serve: (connection: Deno.TcpConn) => Promise<void>): Promise<void> {
    const running: Promise<void>[] = [];
    while (!this.#closing) {
      // Accepting a connection that has been reset meanwhile fails, and so does a listener that was closed.
      const connection = await this.#listener.accept().catch(() => null);
      if (connection === null) continue;
      this.connections++;
      this.#open.add(connection);
      running.push(
        serve(connection).catch(() => {}).finally(() => {
          this.#open.delete(connection);
          close(connection);
        }),
      );
    }
    await Promise.all(running);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closing = true;
    this.#listener.close();
    for (const connection of this.#open) close(connection);
    await this.#serving;
  }
}

export function close(connection: { close(): void }): void {
  try {
    connection.close();
  } catch {
    // Closed already.
  }
}

/** Sends back what comes, until the caller has finished. */
export async function echo(connection: Deno.TcpConn): Promise<void> {
  const buffer = new Uint8Array(65536);
  for (let count; (count = await connection.read(buffer)) !== null;) {
    await writeAll(connection, buffer.subarray(0, count));
  }
}

export async function writeAll(connection: Deno.Conn, content: Uint8Array): Promise<void> {
  for (let sent = 0; sent < content.length;) sent += await connection.write(content.subarray(sent));
}

/** All that comes until the peer has finished. */
export async function readAll(connection: Deno.Conn): Promise<Uint8Array> {
  const parts: Uint8Array[] = [];
  const buffer = new Uint8Array(65536);
  for (let count; (count = await connection.read(buffer)) !== null;) parts.push(buffer.slice(0, count));
  const all = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let position = 0;
  for (const part of parts) {
    all.set(part, position);
    position += part.length;
  }
  return all;
}

/** Reads exactly `size` bytes. */
export async function readExactly(connection: Deno.Conn, size: number): Promise<Uint8Array> {
  const all = new Uint8Array(size);
  for (let position = 0; position < size;) {
    const count = await connection.read(all.subarray(position));
    if (count === null) throw new Error(`the connection ended after ${position} of ${size} bytes`);
    position += count;
  }
  return all;
}

export function connect(port: number): Promise<Deno.TcpConn> {
  return Deno.connect({ hostname: "127.0.0.1", port });
}

/** Bytes that do not repeat soon. */
export function pattern(size: number): Uint8Array {
  const content = new Uint8Array(size);
  for (let i = 0; i < size; i++) content[i] = Math.imul(i, 2654435761) >>> 13;
  return content;
}

/** Waits until `holds`, for at most 5 s. */
export async function until(holds: () => boolean | Promise<boolean>, what: string): Promise<void> {
  for (const start = Date.now(); !(await holds());) {
    if (Date.now() - start > 5000) throw new Error(`waited in vain: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

/** Open descriptors of this process: data threads are threads of it. */
export function descriptors(): number {
  return [...Deno.readDirSync("/proc/self/fd")].length;
}

/** The sum of a counter over the series with these labels. */
export function sum(series: Series[], metric: Series["metric"], labels: Record<string, string> = {}): number {
  return series
    .filter((one) => one.metric === metric && Object.entries(labels).every(([key, value]) => one.labels[key] === value))
    .reduce((total, one) => total + one.values[0], 0);
}
