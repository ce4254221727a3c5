/** An HTTP/2 connection from a caller. */
import type { DownstreamConnection, DownstreamLink } from "../../downstream_stream.ts";
import type { TlsSession } from "../../sys/tls_session.ts";
import type { DataThread } from "../../worker/thread.ts";
import type { Transport } from "../../worker/transport.ts";
import { Http2Connection } from "./connection.ts";
import { ErrorCode, Limit, maximumWindow, preface, Setting } from "./protocol.ts";
import { Http2ServerStream } from "./server_stream.ts";

/** A timer for what has no limit. */
const longestWait = 3_600_000;

export class Http2ServerConnection extends Http2Connection<Http2ServerStream> implements DownstreamConnection {
  protected override readonly servesPeer = true;
  #prefaceDone = false;
  readonly #start: number;
  /** Requests taken so far. */
  #requests = 0;
  /** Since when the peer has known that it is to open no more streams; -1: it does not. */
  #noticeGiven = -1;
  /** When the last stream ended. */
  #idleSince: number;
  /** When the timer fires, on the loop's clock. */
  #lookAt = Infinity;

  constructor(thread: DataThread, socket: Transport, tls: TlsSession | null, readonly link: DownstreamLink) {
    super(thread, socket, tls);
    this.#start = this.#idleSince = thread.loop.now;
    thread.downstreams.add(this);
    this.greet(Setting.maxConcurrentStreams, Limit.concurrentStreams, Setting.enableConnectProtocol, 1);
    this.#lookAgain(this.#start + Limit.settingsTimeout);
    this.#isOver(this.#start, link.chain.http.idleTimeout);
    this.#isOver(this.#start, link.chain.http.maxConnectionDuration ?? 0);
  }

  protected override get lastOwnStream(): number {
    return 0;
  }

  protected override isPeerStream(id: number): boolean {
    return (id & 1) === 1;
  }

  protected override takePreface(bytes: Uint8Array, position: number, end: number): number {
    if (this.#prefaceDone) return position;
    const size = Math.min(preface.length, end - position);
    for (let i = 0; i < size; i++) {
      if (bytes[position + i] !== preface[i]) {
        this.connectionError(ErrorCode.protocolError);
        return -1;
      }
    }
    if (size < preface.length) return -1;
    this.#prefaceDone = true;
    return position + preface.length;
  }

  protected override openStream(id: number, endStream: boolean, tooLarge: boolean): void {
    if (this.goingAway || this.streams.size >= Limit.concurrentStreams) {
      return this.resetUnknown(id, ErrorCode.refusedStream);
    }
    const stream = new Http2ServerStream(this, id);
    this.streams.set(id, stream);
    stream.begin(endStream, tooLarge);
    this.#isOver(stream.openedAt, stream.idleTimeout);
    if (++this.#requests === this.link.chain.http.maxRequestsPerConnection) this.drain();
  }

  protected override onGoAway(_lastStream: number): void {
    if (this.streams.size === 0) this.closeAfterFlush();
  }

  protected override onIdle(): void {
    this.#idleSince = this.thread.loop.now;
    this.#isOver(this.#idleSince, this.link.chain.http.idleTimeout);
    if (this.goingAway && !this.closing) this.closeAfterFlush();
  }

  /** A header block counts from its first frame: later ones do not refresh it. */
  protected override onPartialBlock(): void {
    this.#isOver(this.partialBlockSince, this.link.chain.http.requestHeadersTimeout);
  }

  protected override onStalled(): void {
    this.#isOver(this.thread.loop.now, this.link.chain.http.streamIdleTimeout);
  }

  /**
   * First a notice, that what the peer sends while it does not know is still served; when it has seen that (it answers
   * the PING behind it), the last stream is told (RFC 9113 §6.8).
   */
  drain(): void {
    if (this.goingAway || this.#noticeGiven >= 0) return;
    this.#noticeGiven = this.thread.loop.now;
    this.frames.goAway(maximumWindow, ErrorCode.noError);
    this.frames.ping();
    this.scheduleFlush();
    this.#isOver(this.#noticeGiven, Limit.drainNotice);
  }

  protected override onPingAck(): void {
    if (this.#noticeGiven >= 0) this.#leave();
  }

  #leave(): void {
    if (this.goingAway) return;
    this.goAway(ErrorCode.noError);
    if (this.streams.size === 0) this.closeAfterFlush();
  }

  reauthorize(): void {
    const { rules } = this.link;
    if (rules !== null) { for (const stream of [...this.streams.values()]) stream.reauthorize(rules); }
  }

  protected override onClose(failed: boolean): void {
    super.onClose(failed);
    this.thread.downstreamClosed(this);
  }

  protected override onDeadline(): void {
    const { now } = this.thread.loop;
    const { http } = this.link.chain;
    this.#lookAt = Infinity;
    if (!this.settingsAcknowledged && this.#isOver(this.#start, Limit.settingsTimeout)) {
      return this.connectionError(ErrorCode.settingsTimeout);
    }
    if (this.partialBlockSince >= 0 && this.#isOver(this.partialBlockSince, http.requestHeadersTimeout)) {
      return this.connectionError(ErrorCode.enhanceYourCalm);
    }
    if (this.out.length > 0 && this.#isOver(this.lastFlush, http.streamIdleTimeout)) return this.fail();
    for (const stream of [...this.streams.values()]) {
      if (this.#isOver(stream.lastActivity, stream.idleTimeout)) stream.onIdleTimeout();
    }
    if (this.closed || this.closing) return;
    if (this.#isOver(this.#start, http.maxConnectionDuration ?? 0)) this.drain();
    if (this.streams.size === 0 && this.#isOver(this.#idleSince, http.idleTimeout)) this.drain();
    if (this.#noticeGiven >= 0 && this.#isOver(this.#noticeGiven, Limit.drainNotice)) this.#leave();
    if (this.#lookAt === Infinity) this.#lookAgain(now + longestWait);
  }

  /** Whether something that began at `since` has taken longer than it may (0: for ever); else that is looked at again. */
  #isOver(since: number, limit: number): boolean {
    if (limit <= 0) return false;
    if (this.thread.loop.now - since >= limit) return true;
    this.#lookAgain(since + limit);
    return false;
  }

  /** The timer fires at this time at the latest. */
  #lookAgain(at: number): void {
    if (at >= this.#lookAt) return;
    this.#lookAt = at;
    this.thread.loop.setTimer(this.timer, Math.max(at - this.thread.loop.now, 0));
  }
}
