/**
 * A host is healthy to which a connection comes about (with TLS where the cluster has it) and, where the check says so,
 * whose answer to what is sent holds what is expected. The connection is closed again.
 */
import type { Host } from "../balance/cluster.ts";
import type { HealthCheckConfig } from "./config.ts";
import { END_OF_STREAM, FAILED, SocketError, WOULD_BLOCK } from "../sys/socket.ts";
import { Connector, type UpstreamChannel } from "../upstream/connector.ts";
import { Connection } from "../worker/connection.ts";
import type { Check } from "./checks.ts";
import type { CheckResult } from "./health_state.ts";

type Config = HealthCheckConfig["check"] & { kind: "tcp" };

export class TcpCheck implements Check {
  #cancelled = false;
  #conversation: Conversation | null = null;

  constructor(host: Host, private readonly config: Config, private readonly done: (result: CheckResult) => void) {
    try {
      new Connector(host.cluster, host, this);
    } catch (error) {
      if (!(error instanceof SocketError)) throw error;
      this.connectFailed();
    }
  }

  cancel(): void {
    this.#cancelled = true;
    this.#conversation?.close();
  }

  connected(channel: UpstreamChannel): void {
    if (!this.#cancelled && this.config.receive.length > 0) {
      this.#conversation = new Conversation(
        channel,
        this.config,
        (found) => this.#finish(found ? "passed" : "unreachable"),
      );
      return;
    }
    const { cluster, socket, tls } = channel;
    cluster.thread.loop.unwatch(socket.descriptor);
    tls?.close();
    socket.close();
    this.#finish("passed");
  }

  connectFailed(): void {
    this.#finish("unreachable");
  }

  #finish(result: CheckResult): void {
    if (!this.#cancelled) this.done(result);
  }
}

/** Sends what the check says and reads until the expected blocks have come, in their order, whatever stands between. */
class Conversation extends Connection {
  readonly #expected: readonly number[][];
  /** Blocks that have come. */
  #found = 0;
  /** What came after them. */
  #rest: number[] = [];

  constructor(
    { cluster, socket, tls }: UpstreamChannel,
    config: Config,
    private readonly done: (found: boolean) => void,
  ) {
    super(cluster.thread, socket);
    this.tls = tls;
    this.#expected = config.receive;
    this.out.appendAll(Uint8Array.from(config.send));
    this.scheduleFlush();
  }

  protected override onReadable(): void {
    const count = this.read(0);
    if (count === WOULD_BLOCK) return;
    if (count === END_OF_STREAM || count === FAILED) return this.fail();
    for (const byte of this.thread.input.bytes.subarray(0, count)) this.#rest.push(byte);
    for (let at = this.#next(); at >= 0; at = this.#next()) {
      this.#rest.splice(0, at + this.#expected[this.#found].length);
      if (++this.#found === this.#expected.length) return this.close();
    }
    // Of what does not match only so much is kept as may be the beginning of a match.
    const kept = this.#expected[this.#found].length - 1;
    this.#rest = kept === 0 ? [] : this.#rest.slice(-kept);
  }

  /** Where the next block begins in what came; -1: it has not. */
  #next(): number {
    const block = this.#expected[this.#found];
    for (let at = 0; at + block.length <= this.#rest.length; at++) {
      if (block.every((byte, i) => this.#rest[at + i] === byte)) return at;
    }
    return -1;
  }

  protected override onClose(): void {
    this.done(this.#found === this.#expected.length);
  }

  protected override onDrained(): void {}
  protected override onDeadline(): void {}
}
