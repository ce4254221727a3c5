/** An HTTP/1.1 connection from a caller: reads requests one after another, writes their responses. */
import { reauthorize } from "../../authorize/authorize.ts";
import type { BodyFraming, DownstreamLink, DownstreamStream } from "../../downstream_stream.ts";
import type { Exchange } from "../../exchange.ts";
import { handleRequest } from "../../pipeline.ts";
import { recordRefusal } from "../../record/refusal.ts";
import { type Outcome, outcomes, parseOutcome } from "../../respond/outcome.ts";
import { type ResponseFraming, writeLocalReply, writeResponseHead } from "../../respond/response_head.ts";
import type { CompiledMutation } from "../../route/header_mutation.ts";
import { END_OF_STREAM, FAILED, type Socket, WOULD_BLOCK } from "../../sys/socket.ts";
import type { TlsSession } from "../../sys/tls_session.ts";
import { ByteQueue } from "../../worker/buffers.ts";
import { preface } from "../http2/protocol.ts";
import { Http2ServerConnection } from "../http2/server_connection.ts";
import { activityThreshold, Connection } from "../../worker/connection.ts";
import type { DataThread } from "../../worker/thread.ts";
import { ascii } from "../characters.ts";
import { keepsAlive } from "../connection_options.ts";
import { BodyKind, BodyReader } from "../framing.ts";
import type { Fields, RequestHead, ResponseHead } from "../head.ts";
import { Known } from "../known_headers.ts";
import { appendChunk, appendTrailers, lastChunk } from "./chunks.ts";
import { isConnect, parseRequestHead, ParseResult } from "./parse_head.ts";
import { CONNECT, upgradeOf, writeSwitchingProtocols } from "./upgrade.ts";

const continueLine = ascii("HTTP/1.1 100 Continue\r\n\r\n");
const emptyLine = ascii("\r\n");
const continueValue = "100-continue";

/** Where the connection stands on its way to another protocol. */
enum Upgrade {
  none,
  asked,
  granted,
  /** One side has ended. */
  ending,
}

/** How long one side of a tunnel may outlast the other in silence where no idle timeout is set: a peer can be gone. */
const halfClosedTimeout = 3_600_000;

export class Http1ServerConnection extends Connection implements DownstreamStream {
  protocol = "HTTP/1.1";
  /** Whether the current request is a HEAD. */
  isHead = false;
  #exchange: Exchange | null = null;
  readonly #body = new BodyReader();
  /** What has been received but not read: the start of a head, or a request sent ahead of its turn. */
  readonly #partial: ByteQueue;
  #keepAlive = true;
  #http10 = false;
  #responseInChunks = false;
  #trailersSent = false;
  #upgrade = Upgrade.none;
  /** When the current state began or was last refreshed, for the deadlines. */
  #since: number;
  /** Bytes received since. */
  #received = 0;
  #headStarted = false;
  /** Requests read so far. */
  #requests = 0;
  readonly #connectedAt: number;

  constructor(thread: DataThread, socket: Socket, tls: TlsSession | null, readonly link: DownstreamLink) {
    super(thread, socket);
    this.tls = tls;
    this.#partial = new ByteQueue(thread.slabs);
    this.#since = this.#connectedAt = thread.loop.now;
    thread.downstreams.add(this);
    thread.loop.setTimer(this.timer, this.#longestWait());
    // What came with the last bytes of the handshake, epoll does not tell of.
    if (tls !== null) thread.loop.defer(this);
  }

  protected override onReadable(): void {
    do {
      const kept = this.#partial.length;
      if (kept > 0) this.thread.input.bytes.set(this.#partial.bytes.subarray(this.#partial.start, this.#partial.end));
      const count = this.read(kept);
      if (count === WOULD_BLOCK) return;
      if (count === END_OF_STREAM && this.#upgrade >= Upgrade.granted) return this.#endTunnel();
      if (count === END_OF_STREAM || count === FAILED) return this.fail();
      this.#partial.clear();
      this.#consume(kept + count);
    } while (!this.closed && !this.closing && this.reading && this.tls !== null && this.tls.hasPending());
  }

  protected override continueInput(): void {
    if (this.closing) return;
    const mayTakePartial = this.#exchange === null ? !this.#headStarted : this.#upgrade >= Upgrade.granted;
    if (mayTakePartial && this.#partial.length > 0 && this.reading) {
      const size = this.#partial.length;
      this.thread.input.bytes.set(this.#partial.bytes.subarray(this.#partial.start, this.#partial.end));
      this.#partial.clear();
      this.#consume(size);
    }
    if (!this.closed && !this.closing && this.reading && this.tls !== null && this.tls.hasPending()) this.onReadable();
  }

  #consume(end: number): void {
    const bytes = this.thread.input.bytes;
    if (this.#requests === 0 && maySpeakHttp2(bytes, end)) {
      return end < preface.length ? this.#keepPartialHead(0, end) : this.#becomeHttp2(end);
    }
    let position = 0;
    while (position < end && !this.closed && !this.closing) {
      if (this.#exchange === null) {
        const head = this.thread.requestHead;
        const length = parseRequestHead(bytes, position, end, head);
        if (length === ParseResult.needMore) return this.#keepPartialHead(position, end);
        this.#headStarted = false;
        if (length < 0) return this.#refuse(parseOutcome(length));
        if (length > this.link.chain.http.maxRequestHeadersBytes) return this.#refuse(outcomes.requestHeadersTooLarge);
        const problem = this.#body.startRequest(head);
        if (problem !== 0) return this.#refuse(parseOutcome(problem));
        position += length;
        this.#begin(head);
      } else if (this.#upgrade === Upgrade.asked) {
        // Whose these bytes are, the answer decides.
        this.#partial.append(bytes, position, end - position);
        return this.setReading(false);
      } else if (!this.#body.done) {
        position = this.#body.next(bytes, position, end);
        if (position < 0) return this.#onBrokenBody();
        const size = this.#body.dataEnd - this.#body.dataStart;
        if (size > 0) this.#exchange.onRequestData(bytes, this.#body.dataStart, size);
        if (this.#body.done) this.#onBodyEnd();
      } else {
        // The next request, sent ahead: it waits until this one is answered.
        this.#partial.append(bytes, position, end - position);
        return this.setReading(false);
      }
    }
    this.#countReceived(end);
    if (this.#exchange !== null && !this.#body.done && this.#exchange.requestCongested) this.setReading(false);
  }

  /** Bytes have come: of a body that is owed whole, a few do not put off its deadline. */
  #countReceived(size: number): void {
    const exchange = this.#exchange;
    const owed = exchange !== null && !this.#body.done && this.#upgrade === Upgrade.none && !exchange.grpc;
    this.#received += size;
    if (owed && this.#received < activityThreshold) return;
    this.#received = 0;
    this.#since = this.thread.loop.now;
  }

  #onBodyEnd(): void {
    if (this.#body.trailers !== null) this.#exchange?.onRequestTrailers(this.#body.trailers);
    this.#exchange?.onRequestEnd();
  }

  /** The caller has ended its side. */
  #endTunnel(): void {
    this.setReading(false);
    this.#upgrade = Upgrade.ending;
    this.#body.endTunnel();
    this.#exchange?.onRequestEnd();
  }

  #keepPartialHead(position: number, end: number): void {
    if (end - position > this.link.chain.http.maxRequestHeadersBytes) {
      return this.#refuse(outcomes.requestHeadersTooLarge);
    }
    this.#partial.append(this.thread.input.bytes, position, end - position);
    if (this.#headStarted) return;
    // Counted from the first byte: later ones do not refresh it.
    this.#headStarted = true;
    this.#since = this.thread.loop.now;
    this.thread.loop.setTimer(this.timer, this.link.chain.http.requestHeadersTimeout);
  }

  /** The caller speaks HTTP/2 from the first byte on (RFC 9113 §3.3, prior knowledge). */
  #becomeHttp2(size: number): void {
    const { thread, socket, tls, link } = this;
    this.#partial.clear();
    this.handOver();
    thread.downstreams.delete(this);
    new Http2ServerConnection(thread, socket, tls, link).takeInput(size);
  }

  #begin(head: RequestHead): void {
    this.#requests++;
    const { fields } = head;
    this.isHead = head.isHead;
    this.#http10 = head.minorVersion === 0;
    this.protocol = this.#http10 ? "HTTP/1.0" : "HTTP/1.1";
    const { maxRequestsPerConnection } = this.link.chain.http;
    this.#keepAlive = keepsAlive(fields, head.minorVersion) && this.#requests !== maxRequestsPerConnection;
    if (fields.has(Known.expect)) {
      if (fields.known(Known.expect)!.toLowerCase() !== continueValue) return this.#refuse(outcomes.expectationFailed);
      if (!this.#body.done && !this.#http10) {
        this.out.appendAll(continueLine);
        this.scheduleFlush();
      }
    }
    const upgrade = isConnect(head) ? CONNECT : this.#http10 ? "" : upgradeOf(fields);
    if (upgrade !== "") {
      // Where a body ends and the other protocol begins, another recipient might see otherwise.
      if (!this.#body.done) return this.#refuse(outcomes.badRequest);
      this.#body.startTunnel();
      this.#upgrade = Upgrade.asked;
      // Unless it is granted, what the caller has sent ahead is nobody's.
      this.#keepAlive = false;
    }
    const exchange = this.thread.takeExchange();
    this.#exchange = exchange;
    exchange.begin(this, head, this.#body);
    exchange.upgrade = upgrade;
    handleRequest(exchange, head);
    const idleTimeout = this.#exchange?.action?.idleTimeout ?? 0;
    if (idleTimeout > 0 && idleTimeout < this.#longestWait()) this.thread.loop.setTimer(this.timer, idleTimeout);
  }

  #onBrokenBody(): void {
    const exchange = this.#exchange!;
    if (exchange.status === 0) exchange.giveUp(outcomes.badRequest);
    else this.fail();
  }

  /** Answers a request that is not understood, and closes. */
  #refuse(outcome: Outcome): void {
    this.#keepAlive = false;
    this.isHead = false;
    this.sendLocalReply(outcome.status, outcome.body, "", true);
    recordRefusal(this.thread, this.link, outcome);
    this.closeAfterFlush();
  }

  // ------------------------------------------------------------------------------------------ the response

  sendResponse(
    head: ResponseHead,
    body: BodyFraming,
    upstreamTime: number,
    mutations: readonly CompiledMutation[],
  ): void {
    if (body.kind === BodyKind.tunnel) return this.#switchProtocols(head, body, upstreamTime, mutations);
    // HTTP/1.0 knows no chunks: the end of such a body is the end of the connection.
    if (this.#http10 && body.kind !== BodyKind.length && body.kind !== BodyKind.none) this.#keepAlive = false;
    this.#responseInChunks = writeResponseHead(this.out, head, body, this.#framing(), upstreamTime, mutations);
    this.scheduleFlush();
  }

  #switchProtocols(
    head: ResponseHead,
    body: BodyFraming,
    upstreamTime: number,
    mutations: readonly CompiledMutation[],
  ): void {
    const { upgrade } = this.#exchange!;
    writeSwitchingProtocols(this.out, upgrade, head, body, this.#framing(), upstreamTime, mutations);
    this.#upgrade = Upgrade.granted;
    this.setReading(true);
    // What was sent ahead goes first.
    this.scheduleFlush();
  }

  sendBody(bytes: Uint8Array, offset: number, size: number): void {
    if (this.#responseInChunks) appendChunk(this.out, bytes, offset, size);
    else this.out.append(bytes, offset, size);
    this.#since = this.thread.loop.now;
    this.scheduleFlush();
  }

  sendTrailers(fields: Fields): void {
    if (!this.#responseInChunks) return;
    appendTrailers(this.out, fields);
    this.#trailersSent = true;
  }

  endResponse(): void {
    if (this.#responseInChunks) this.out.appendAll(this.#trailersSent ? emptyLine : lastChunk);
    this.#responseInChunks = this.#trailersSent = false;
    if (this.#upgrade < Upgrade.granted) return this.scheduleFlush();
    this.#upgrade = Upgrade.ending;
    this.finishAfterFlush();
  }

  /** Cuts the response off, so that the caller sees that it is not whole. */
  abortResponse(): void {
    // Without chunks or a length the end of the connection is the end of the body.
    if (this.#http10) this.breakOff();
    else this.close();
  }

  /** Writes a whole reply; returns the size of its body. */
  sendLocalReply(status: number, body: string, headers: string, close: boolean): number {
    // A request whose body has not been read leaves it in the way of the next one.
    if (close || !this.#body.done) this.#keepAlive = false;
    const bytes = ascii(body);
    writeLocalReply(this.out, status, bytes, headers, this.#framing());
    this.scheduleFlush();
    return bytes.length;
  }

  #framing(): ResponseFraming {
    const framing = this.thread.responseFraming;
    if (this.#leftOfLife() <= 0) this.#keepAlive = false;
    framing.close = !this.#keepAlive || this.#draining;
    framing.http10 = this.#http10;
    framing.isHead = this.isHead;
    framing.server = this.link.chain.serverLine;
    return framing;
  }

  get #draining(): boolean {
    return this.thread.draining || this.link.chain.retired;
  }

  /** The exchange is recorded; the next request may begin. */
  exchangeDone(): void {
    const exchange = this.#exchange;
    this.#exchange = null;
    if (exchange !== null) this.thread.giveExchange(exchange);
    if (this.closed) return;
    this.#since = this.thread.loop.now;
    if (!this.#keepAlive || !this.#body.done || this.#draining || this.#leftOfLife() <= 0) {
      return this.closeAfterFlush();
    }
    this.setReading(true);
    if (this.#partial.length > 0 || this.tls !== null) this.thread.loop.defer(this);
  }

  /** The request's body can go on. */
  resumeRequest(): void {
    if (this.#body.done || (this.#upgrade === Upgrade.asked && this.#partial.length > 0)) return;
    this.setReading(true);
    if (this.tls !== null) this.thread.loop.defer(this);
  }

  /** Closes now if no request is in flight, else after it. What has arrived is still served. */
  drain(): void {
    if (this.#exchange !== null || this.closing) return;
    this.onReadable();
    if (!this.closed && !this.closing && this.#exchange === null && !this.#headStarted) this.close();
  }

  reauthorize(): void {
    const { rules } = this.link;
    if (rules !== null && this.#exchange !== null) reauthorize(this.#exchange, rules);
  }

  protected override onDrained(): void {
    this.#exchange?.onResponseDrained();
  }

  protected override onClose(_failed: boolean): void {
    this.#partial.clear();
    this.thread.downstreamClosed(this);
    this.#exchange?.onDownstreamClosed();
  }

  /** The timer fires this often at least: a connection's next state can have a shorter limit than the present one. */
  #longestWait(): number {
    const { idleTimeout, streamIdleTimeout } = this.link.chain.http;
    const life = this.#leftOfLife();
    const shorter = Math.min(idleTimeout || Infinity, streamIdleTimeout || Infinity, life > 0 ? life : Infinity);
    return shorter === Infinity ? 3_600_000 : shorter;
  }

  /** Until the connection is too old for more requests. */
  #leftOfLife(): number {
    const { maxConnectionDuration } = this.link.chain.http;
    if (maxConnectionDuration === undefined) return Infinity;
    return maxConnectionDuration - (this.thread.loop.now - this.#connectedAt);
  }

  protected override onDeadline(): void {
    const { http } = this.link.chain;
    if (this.#exchange === null && !this.#headStarted && this.#leftOfLife() <= 0) return this.close();
    const limit = this.#exchange !== null
      ? (this.#exchange.action?.idleTimeout ?? http.streamIdleTimeout) ||
        (this.#upgrade === Upgrade.ending ? halfClosedTimeout : 0)
      : this.#headStarted
      ? http.requestHeadersTimeout
      : http.idleTimeout;
    const left = limit - (this.thread.loop.now - this.#since);
    if (limit <= 0 || left > 0) {
      const longest = this.#longestWait();
      this.thread.loop.setTimer(this.timer, limit > 0 && left < longest ? left : longest);
    } else if (this.#exchange !== null) {
      this.#exchange.onIdle();
    } else if (this.#headStarted) this.#refuse(outcomes.requestTimeout);
    else this.close();
  }
}

/** Whether the bytes begin with the client preface of HTTP/2, or with as much of it as there are. */
function maySpeakHttp2(bytes: Uint8Array, size: number): boolean {
  if (bytes[0] !== preface[0]) return false;
  const length = Math.min(size, preface.length);
  for (let i = 1; i < length; i++) if (bytes[i] !== preface[i]) return false;
  return true;
}
