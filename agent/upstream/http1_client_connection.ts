/** An HTTP/1.1 connection to an upstream host: one request at a time. */
import type { Host } from "../balance/cluster.ts";
import { appendContentLength } from "../decode/field_lines.ts";
import { BodyKind, BodyReader } from "../decode/framing.ts";
import type { Fields, ResponseHead } from "../decode/head.ts";
import { parseResponseHead, ParseResult } from "../decode/http1/parse_head.ts";
import { appendChunk, appendTrailers, lastChunk } from "../decode/http1/chunks.ts";
import { ascii } from "../decode/characters.ts";
import { appendUpgrade, CONNECT, upgradeOf } from "../decode/http1/upgrade.ts";
import { keepsAlive } from "../decode/connection_options.ts";
import type { MetricScope } from "../record/request_metrics.ts";
import { END_OF_STREAM, FAILED, WOULD_BLOCK } from "../sys/socket.ts";
import { ByteQueue } from "../worker/buffers.ts";
import { Connection } from "../worker/connection.ts";
import type { UpstreamChannel } from "./connector.ts";
import type { HostPool } from "./host_pool.ts";
import { switchesProtocol, type UpstreamRequest } from "./upstream_request.ts";
import type { UpstreamLink, UpstreamStream } from "./upstream_stream.ts";

enum State {
  free,
  awaitingHead,
  body,
  /** The peer has ended its side of a tunnel; ours may go on. */
  tunnelEnded,
  closed,
}

/** A response head must fit into this. */
const maximumHead = 64 * 1024;
const noBody = ascii("content-length: 0\r\n\r\n");
const chunkedFraming = ascii("transfer-encoding: chunked\r\n\r\n");
const emptyLine = ascii("\r\n");

/** Interim responses before a final one: more is no answer but a flood. */
export const maximumInterims = 100;

export class Http1ClientConnection extends Connection implements UpstreamStream, UpstreamLink {
  readonly host: Host;
  scope: MetricScope | null = null;
  /** Requests carried so far. */
  requests = 0;
  idleSince: number;
  readonly #madeAt: number;
  /** Interim responses to the current request. */
  #interims = 0;
  #state: State = State.free;
  #request: UpstreamRequest | null = null;
  readonly #head: ResponseHead;
  readonly #body = new BodyReader();
  /** The beginning of a head that has not arrived whole. */
  readonly #partial: ByteQueue;
  #reusable = true;
  #trailersSent = false;

  constructor(readonly channel: UpstreamChannel, private readonly pool: HostPool) {
    const { thread } = channel.cluster;
    super(thread, channel.socket);
    this.tls = channel.tls;
    this.host = channel.host;
    this.#head = thread.responseHead;
    this.#partial = new ByteQueue(thread.slabs);
    this.idleSince = thread.loop.now;
    this.#madeAt = thread.loop.now;
    this.#awaitDeadline(0);
  }

  /** Whether it has lasted as long as a connection may. */
  get tooOld(): boolean {
    const { maxConnectionDuration } = this.channel.cluster.config;
    return maxConnectionDuration !== undefined && this.thread.loop.now - this.#madeAt >= maxConnectionDuration;
  }

  get link(): UpstreamLink {
    return this;
  }

  /** Sends a request; its answer goes to `request`. The connection must be free. */
  start(request: UpstreamRequest): void {
    this.#request = request;
    this.#state = State.awaitingHead;
    this.#reusable = true;
    this.#trailersSent = false;
    this.requests++;
    const { out } = this;
    out.append(request.head.bytes, request.head.start, request.head.length);
    if (request.bodyKind === BodyKind.chunked) out.appendAll(chunkedFraming);
    else if (request.bodyKind === BodyKind.length) {
      appendContentLength(out, request.bodyLength);
      out.appendAll(emptyLine);
    } else if (switchesProtocol(request)) appendUpgrade(out, request.upgrade);
    else out.appendAll(expectsBody(request.head) ? noBody : emptyLine);
    if (request.body.length > 0) this.sendData(request.body.bytes, request.body.start, request.body.length);
    if (request.trailers !== null) this.sendTrailers(request.trailers);
    if (request.requestComplete) this.sendEnd();
    this.scheduleFlush();
    request.onAttached(this);
  }

  /** Sends a piece of the request's body. */
  sendData(bytes: Uint8Array, offset: number, size: number): void {
    if (this.#request!.bodyKind === BodyKind.chunked) appendChunk(this.out, bytes, offset, size);
    else this.out.append(bytes, offset, size);
    this.scheduleFlush();
  }

  sendTrailers(fields: Fields): void {
    if (this.#request!.bodyKind !== BodyKind.chunked) return;
    appendTrailers(this.out, fields);
    this.#trailersSent = true;
  }

  /** The request's body is over. */
  sendEnd(): void {
    if (this.#request!.bodyKind === BodyKind.chunked) this.out.appendAll(this.#trailersSent ? emptyLine : lastChunk);
    this.scheduleFlush();
    if (this.#body.kind !== BodyKind.tunnel) return;
    if (this.#state === State.tunnelEnded) this.#leaveTunnel();
    else this.finishAfterFlush();
  }

  /** Gives up the request: HTTP/1.1 can only close. */
  cancel(): void {
    this.#request = null;
    this.close();
  }

  /** The receiver of the response takes data again. */
  resumeResponse(): void {
    if (this.#state === State.tunnelEnded) return;
    this.setReading(true);
    // What OpenSSL has read already, epoll does not tell of.
    if (this.tls !== null) this.thread.loop.defer(this);
  }

  protected override continueInput(): void {
    if (this.tls !== null && this.reading && this.tls.hasPending()) this.onReadable();
  }

  protected override onReadable(): void {
    do {
      const kept = this.#partial.length;
      if (kept > 0) this.thread.input.bytes.set(this.#partial.bytes.subarray(this.#partial.start, this.#partial.end));
      const count = this.read(kept);
      if (count === WOULD_BLOCK) return;
      if (count === END_OF_STREAM || count === FAILED) return this.#onEnd(count === FAILED);
      this.#partial.clear();
      this.#consume(0, kept + count);
    } while (!this.closed && this.reading && this.tls !== null && this.tls.hasPending());
  }

  #consume(start: number, end: number): void {
    const bytes = this.thread.input.bytes;
    let position = start;
    while (position < end && !this.closed) {
      if (this.#state === State.awaitingHead) {
        const length = parseResponseHead(bytes, position, end, this.#head);
        if (length === ParseResult.needMore) {
          if (end - position > maximumHead) return this.#violation();
          this.#partial.append(bytes, position, end - position);
          return;
        }
        if (length < 0 || !this.#onHead()) return this.#violation();
        position += length;
      } else if (this.#state === State.body) {
        position = this.#body.next(bytes, position, end);
        if (position < 0) return this.#violation();
        const size = this.#body.dataEnd - this.#body.dataStart;
        if (size > 0) this.#request!.onResponseData(bytes, this.#body.dataStart, size);
        if (this.#request === null) return;
      } else {
        // Bytes beyond the framed body, or out of the blue: whose answer they are nobody can tell.
        this.close();
        return;
      }
      if (this.#state === State.body && this.#body.done) this.#finish(position === end);
    }
    if (!this.closed && this.#request !== null && this.#request.responseCongested) this.setReading(false);
  }

  /** False: the head breaks the rules. */
  #onHead(): boolean {
    const { status, fields } = this.#head;
    if (status === 101) return this.#switchProtocols();
    if (status >= 200 && status < 300 && this.#request!.upgrade === CONNECT) return this.#openTunnel();
    // Interim responses are for this hop; `Expect` has been answered by the proxy.
    if (status < 200) return ++this.#interims <= maximumInterims;
    this.#interims = 0;
    const request = this.#request!;
    if (this.#body.startResponse(this.#head, request.isHead) !== 0) return false;
    this.#reusable = this.#body.kind !== BodyKind.untilClose && keepsAlive(this.#head.fields, this.#head.minorVersion);
    this.#state = State.body;
    if (!request.onResponseHead(this.#head, this.#body) && this.#request !== null) {
      this.#request = null;
      this.close();
    }
    fields.clear();
    return true;
  }

  /** False: nobody has asked for it. */
  #switchProtocols(): boolean {
    const request = this.#request!;
    if (request.upgrade === "" || upgradeOf(this.#head.fields) !== request.upgrade) return false;
    return this.#openTunnel();
  }

  #openTunnel(): boolean {
    this.#body.startTunnel();
    this.#state = State.body;
    this.#request!.onResponseHead(this.#head, this.#body);
    return true;
  }

  /** Both sides of the tunnel have ended. */
  #leaveTunnel(): void {
    this.#request = null;
    this.closeAfterFlush();
  }

  #finish(noExcess: boolean): void {
    const request = this.#request!;
    this.#request = null;
    // A response that came before the request was through leaves the rest of the request in the way.
    const free = this.#reusable && request.requestComplete && noExcess && this.out.length === 0;
    this.#state = State.free;
    if (this.#body.trailers !== null) request.onResponseTrailers(this.#body.trailers);
    request.onResponseEnd();
    if (this.closed) return;
    if (free) {
      this.setReading(true);
      this.pool.release(this);
    } else this.close();
  }

  #violation(): void {
    const request = this.#request;
    this.#request = null;
    this.close();
    request?.onFailure("protocolError");
  }

  #onEnd(failed: boolean): void {
    if (this.#state === State.body && this.#body.kind === BodyKind.tunnel && !failed) {
      const request = this.#request!;
      this.setReading(false);
      this.#state = State.tunnelEnded;
      if (request.requestComplete) this.#leaveTunnel();
      return request.onResponseEnd();
    }
    if (this.#state === State.body && this.#body.kind === BodyKind.untilClose && !failed) {
      const request = this.#request!;
      this.#request = null;
      this.close();
      request.onResponseEnd();
      return;
    }
    this.fail();
  }

  protected override onClose(_failed: boolean): void {
    this.#partial.clear();
    this.#state = State.closed;
    const request = this.#request;
    this.#request = null;
    this.pool.disconnected(this);
    request?.onFailure("reset");
  }

  protected override onDrained(): void {
    this.#request?.onRequestDrained();
  }

  protected override onDeadline(): void {
    // One timer serves all idle periods: it looks when the current one began.
    const { idleTimeout } = this.channel.cluster.config;
    const free = this.#state === State.free;
    const idleFor = free ? this.thread.loop.now - this.idleSince : 0;
    if ((idleTimeout > 0 && idleFor >= idleTimeout) || (free && this.tooOld)) this.close();
    else this.#awaitDeadline(idleFor);
  }

  /** Its age counts while it is in use only when it becomes free. */
  #awaitDeadline(idleFor: number): void {
    const { idleTimeout, maxConnectionDuration } = this.channel.cluster.config;
    const idle = idleTimeout > 0 ? idleTimeout - idleFor : Infinity;
    const life = maxConnectionDuration === undefined || this.tooOld
      ? Infinity
      : maxConnectionDuration - (this.thread.loop.now - this.#madeAt);
    const next = Math.min(idle, life);
    if (next < Infinity) this.thread.loop.setTimer(this.timer, next);
  }
}

/** Whether the method is one that means a body (PATCH, POST, PUT) or may have one (OPTIONS): RFC 9110 section 8.6. */
function expectsBody({ bytes, start }: ByteQueue): boolean {
  return bytes[start] === 80 || bytes[start] === 79;
}
