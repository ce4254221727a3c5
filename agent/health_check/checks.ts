/** Single checks of a host: one HTTP request over the cluster's connections, or one TCP connection. */
import type { Host } from "../balance/cluster.ts";
import type { HealthCheckConfig } from "../config/model.ts";
import { BodyKind } from "../decode/framing.ts";
import type { ResponseHead } from "../decode/head.ts";
import { SocketError } from "../sys/socket.ts";
import { Connector, type UpstreamChannel } from "../upstream/connector.ts";
import type { UpstreamRequest } from "../upstream/upstream_request.ts";
import type { UpstreamStream } from "../upstream/upstream_stream.ts";
import { ByteQueue } from "../worker/buffers.ts";
import type { CheckResult } from "./health_state.ts";

/** A check under way; `done` is called once, unless it is cancelled. */
export interface Check {
  cancel(): void;
}

export function startCheck(host: Host, { check }: HealthCheckConfig, done: (result: CheckResult) => void): Check {
  return check.kind === "http" ? new HttpCheck(host, check, done) : new TcpCheck(host, done);
}

type HttpCheckConfig = HealthCheckConfig["check"] & { kind: "http" };

class HttpCheck implements Check, UpstreamRequest {
  readonly head: ByteQueue;
  readonly body: ByteQueue;
  readonly trailers = null;
  readonly upgrade = "";
  readonly bodyKind = BodyKind.none;
  readonly bodyLength = 0;
  readonly requestComplete = true;
  readonly responseCongested = false;
  #stream: UpstreamStream | null = null;
  #waiting = true;
  #result: CheckResult = "unreachable";

  constructor(
    readonly host: Host,
    readonly config: HttpCheckConfig,
    readonly done: (result: CheckResult) => void,
  ) {
    const { thread } = host.cluster;
    this.head = new ByteQueue(thread.slabs);
    this.body = new ByteQueue(thread.slabs);
    const authority = config.host || host.cluster.config.name;
    this.head.appendText(`${config.method} ${config.path} HTTP/1.1\r\nhost: ${authority}\r\nuser-agent: skiff/HC\r\n`);
    // With a circuit breaker open the host is busy, which is no reason to take it out.
    if (!host.pool.request(this)) this.#finish("passed");
  }

  get isHead(): boolean {
    return this.config.method === "HEAD";
  }

  cancel(): void {
    if (this.#waiting) this.host.pool.withdraw(this);
    const stream = this.#stream;
    this.#release();
    stream?.cancel();
  }

  onConnectFailure(): void {
    this.#finish("unreachable");
  }

  onAttached(stream: UpstreamStream): void {
    this.#waiting = false;
    this.#stream = stream;
  }

  onResponseHead({ status }: ResponseHead): boolean {
    const { expectedStatuses, retriableStatuses } = this.config;
    const within = ({ start, end }: { start: number; end: number }) => status >= start && status < end;
    this.#result = expectedStatuses.some(within)
      ? "passed"
      : retriableStatuses.some(within)
      ? "unreachable"
      : "refused";
    return true;
  }

  onResponseData(): void {}
  onResponseTrailers(): void {}
  onRequestDrained(): void {}

  onResponseEnd(): void {
    this.#finish(this.#result);
  }

  onFailure(): void {
    this.#finish("unreachable");
  }

  #release(): void {
    this.#waiting = false;
    this.#stream = null;
    this.head.clear();
    this.body.clear();
  }

  #finish(result: CheckResult): void {
    this.#release();
    this.done(result);
  }
}

/** A connection, with TLS where the cluster has it, that is closed again. */
class TcpCheck implements Check {
  #cancelled = false;

  constructor(host: Host, private readonly done: (result: CheckResult) => void) {
    try {
      new Connector(host.cluster, host, this);
    } catch (error) {
      if (!(error instanceof SocketError)) throw error;
      this.connectFailed();
    }
  }

  cancel(): void {
    this.#cancelled = true;
  }

  connected({ cluster, socket, tls }: UpstreamChannel): void {
    cluster.thread.loop.unwatch(socket.descriptor);
    tls?.close();
    socket.close();
    if (!this.#cancelled) this.done("passed");
  }

  connectFailed(): void {
    if (!this.#cancelled) this.done("unreachable");
  }
}
