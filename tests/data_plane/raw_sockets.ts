/** Raw TCP on both sides of the proxy: what is sent is exactly what a test writes, what comes is kept byte for byte. */
import assert from "node:assert/strict";

const encoder = new TextEncoder();
const decoder = new TextDecoder("latin1");
/** How long a condition may take on a loaded machine. */
const patience = 10_000;

/** Waits until `condition` holds; fails with `what` when it does not come to hold. */
export async function until(condition: () => boolean | Promise<boolean>, what: string | (() => string)): Promise<void> {
  const deadline = performance.now() + patience;
  while (!await condition()) {
    if (performance.now() > deadline) {
      assert.fail(`not within ${patience} ms: ${typeof what === "string" ? what : what()}`);
    }
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
}

/** A TCP connection whose received bytes gather in {@link received}, one character each. */
export class RawConnection implements Disposable {
  received = "";
  /** The peer has sent its end of stream or a reset. */
  ended = false;
  #closed = false;

  constructor(readonly connection: Deno.TcpConn) {
    void this.#read();
  }

  static async connect(port: number): Promise<RawConnection> {
    return new RawConnection(await Deno.connect({ hostname: "127.0.0.1", port }));
  }

  async #read(): Promise<void> {
    const buffer = new Uint8Array(65536);
    try {
      for (;;) {
        const count = await this.connection.read(buffer);
        if (count === null) break;
        this.received += decoder.decode(buffer.subarray(0, count));
      }
    } catch {
      // A reset ends a connection as well.
    }
    this.ended = true;
  }

  async send(data: string | Uint8Array): Promise<void> {
    const bytes = typeof data === "string" ? encoder.encode(data) : data;
    for (let sent = 0; sent < bytes.length;) sent += await this.connection.write(bytes.subarray(sent));
  }

  /** As {@link send}, for a peer that may be gone. */
  async trySend(data: string | Uint8Array): Promise<void> {
    await this.send(data).catch(() => {});
  }

  /** Waits until what has been received matches. */
  async until(pattern: RegExp): Promise<void> {
    await until(
      () => pattern.test(this.received) || this.ended,
      () => `${pattern} in ${JSON.stringify(this.received)}`,
    );
    assert.match(this.received, pattern);
  }

  /** Waits for the peer's end of stream; all that was received. */
  async end(): Promise<string> {
    await until(() => this.ended, () => `the end of the connection; so far ${JSON.stringify(this.received)}`);
    return this.received;
  }

  async finishSending(): Promise<void> {
    await this.connection.closeWrite().catch(() => {});
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.connection.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }
}

/** A TCP server whose connections a test answers by hand. */
export class RawBackend implements Disposable {
  readonly port: number;
  readonly connections: RawConnection[] = [];
  readonly #listener: Deno.TcpListener;

  /** @param serve called for each connection with its number, 0 first; what it throws is of no account. */
  constructor(serve: (connection: RawConnection, index: number) => Promise<void> | void = () => {}) {
    this.#listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
    this.port = (this.#listener.addr as Deno.NetAddr).port;
    void this.#accept(serve);
  }

  async #accept(serve: (connection: RawConnection, index: number) => Promise<void> | void): Promise<void> {
    try {
      for (;;) {
        const connection = new RawConnection(await this.#listener.accept());
        const index = this.connections.push(connection) - 1;
        void (async () => await serve(connection, index))().catch(() => connection.close());
      }
    } catch {
      // Closed.
    }
  }

  /** Every byte that any connection has brought. */
  get received(): string {
    return this.connections.map((connection) => connection.received).join("");
  }

  [Symbol.dispose](): void {
    this.#listener.close();
    for (const connection of this.connections) connection.close();
  }
}

/** A backend that answers each head on a connection with the same bytes, for requests without a body. */
export function answering(answer: string): RawBackend {
  return new RawBackend(async (connection) => {
    for (let answered = 0;; answered++) {
      await until(() => connection.received.split("\r\n\r\n").length > answered + 1 || connection.ended, "a request");
      if (connection.ended) return connection.close();
      await connection.send(answer);
    }
  });
}

/** Sends one request on a connection of its own, which the proxy must close; the whole answer. */
export async function exchangeUntilEnd(port: number, request: string | Uint8Array): Promise<string> {
  using connection = await RawConnection.connect(port);
  await connection.trySend(request);
  return await connection.end();
}

/** Status of an answer; 0 for none. */
export function statusOf(answer: string): number {
  return Number(/^HTTP\/1\.1 (\d{3}) /.exec(answer)?.[1] ?? 0);
}
