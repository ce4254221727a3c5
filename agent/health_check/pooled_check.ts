/** A check that is a request over the cluster's own connections, in the protocol that requests go out in. */
import type { Host } from "../balance/cluster.ts";
import { BodyKind } from "../decode/framing.ts";
import type { Fields, ResponseHead } from "../decode/head.ts";
import type { UpstreamRequest } from "../upstream/upstream_request.ts";
import type { UpstreamStream } from "../upstream/upstream_stream.ts";
import { ByteQueue } from "../worker/buffers.ts";
import type { Check } from "./checks.ts";
import type { CheckResult } from "./health_state.ts";

export abstract class PooledCheck implements Check, UpstreamRequest {
  readonly head: ByteQueue;
  readonly body: ByteQueue;
  readonly trailers = null;
  readonly upgrade = "";
  readonly requestComplete = true;
  readonly responseCongested = false;
  bodyKind: number = BodyKind.none;
  bodyLength = 0;
  isHead = false;
  readonly cameByHttp2 = false;
  readonly caller = null;
  #stream: UpstreamStream | null = null;
  #waiting = true;

  constructor(protected readonly host: Host, private readonly done: (result: CheckResult) => void) {
    const { slabs } = host.cluster.thread;
    this.head = new ByteQueue(slabs);
    this.body = new ByteQueue(slabs);
  }

  /** Sends what {@link head} and {@link body} hold. */
  protected send(): void {
    // With a circuit breaker open the host is busy, which is no reason to take it out.
    if (!this.host.pool.request(this)) this.#finish("passed");
  }

  /** The authority where the check names none: the endpoint's own name for it, else the cluster's. */
  protected get defaultAuthority(): string {
    return this.host.config.healthCheck?.hostname || this.host.cluster.config.name;
  }

  /** What the response, now whole, says. */
  protected abstract result(): CheckResult;

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

  abstract onResponseHead(head: ResponseHead): boolean;

  onResponseData(_bytes: Uint8Array<ArrayBuffer>, _offset: number, _size: number): void {}
  onResponseTrailers(_fields: Fields): void {}
  onRequestDrained(): void {}

  onResponseEnd(): void {
    this.#finish(this.result());
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
