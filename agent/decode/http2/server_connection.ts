/** An HTTP/2 connection from a caller. */
import type { DownstreamConnection, DownstreamLink } from "../../downstream_stream.ts";
import type { Socket } from "../../sys/socket.ts";
import type { TlsSession } from "../../sys/tls_session.ts";
import type { DataThread } from "../../worker/thread.ts";
import { Http2Connection } from "./connection.ts";
import { ErrorCode, Limit, preface, Setting } from "./protocol.ts";
import { Http2ServerStream } from "./server_stream.ts";

/** How often streams are looked at for idleness, as a share of what they are allowed. */
const idleChecks = 4;

export class Http2ServerConnection extends Http2Connection<Http2ServerStream> implements DownstreamConnection {
  protected override readonly servesPeer = true;
  #prefaceDone = false;
  readonly #start: number;
  /** When the last stream ended. */
  #idleSince: number;

  constructor(thread: DataThread, socket: Socket, tls: TlsSession | null, readonly link: DownstreamLink) {
    super(thread, socket, tls);
    this.#start = this.#idleSince = thread.loop.now;
    thread.downstreams.add(this);
    this.greet(Setting.maxConcurrentStreams, Limit.concurrentStreams);
    thread.loop.setTimer(this.timer, Limit.settingsTimeout);
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
  }

  protected override onGoAway(_lastStream: number): void {
    if (this.streams.size === 0) this.closeAfterFlush();
  }

  protected override onIdle(): void {
    this.#idleSince = this.thread.loop.now;
    if (this.goingAway && !this.closing) this.closeAfterFlush();
  }

  /** A header block counts from its first frame: later ones do not refresh it. */
  protected override onPartialBlock(): void {
    const { requestHeadersTimeout } = this.link.chain.http;
    if (requestHeadersTimeout > 0) this.#lookAgainIn(requestHeadersTimeout);
  }

  protected override onStalled(): void {
    const { streamIdleTimeout } = this.link.chain.http;
    if (streamIdleTimeout > 0) this.#lookAgainIn(streamIdleTimeout);
  }

  /** The settings' deadline comes first. */
  #lookAgainIn(time: number): void {
    this.thread.loop.setTimer(this.timer, this.settingsAcknowledged ? time : Math.min(time, Limit.settingsTimeout));
  }

  drain(): void {
    if (this.goingAway) return;
    this.goAway(ErrorCode.noError);
    if (this.streams.size === 0) this.closeAfterFlush();
  }

  protected override onClose(failed: boolean): void {
    super.onClose(failed);
    this.thread.downstreamClosed(this);
  }

  protected override onDeadline(): void {
    const { now } = this.thread.loop;
    const { http } = this.link.chain;
    if (!this.settingsAcknowledged && now - this.#start >= Limit.settingsTimeout) {
      return this.connectionError(ErrorCode.settingsTimeout);
    }
    const { partialBlockSince } = this;
    if (partialBlockSince >= 0 && http.requestHeadersTimeout > 0) {
      const left = http.requestHeadersTimeout - (now - partialBlockSince);
      if (left <= 0) return this.connectionError(ErrorCode.enhanceYourCalm);
      return this.thread.loop.setTimer(this.timer, left);
    }
    if (this.out.length > 0 && http.streamIdleTimeout > 0 && now - this.lastFlush >= http.streamIdleTimeout) {
      return this.fail();
    }
    let next = http.idleTimeout;
    if (this.streams.size === 0) {
      const idleFor = now - this.#idleSince;
      if (http.idleTimeout > 0 && idleFor >= http.idleTimeout) {
        this.goAway(ErrorCode.noError);
        return this.closeAfterFlush();
      }
      next = http.idleTimeout - idleFor;
    } else if (http.streamIdleTimeout > 0) {
      for (const stream of [...this.streams.values()]) {
        if (now - stream.lastActivity >= http.streamIdleTimeout) stream.onIdleTimeout();
      }
      next = http.streamIdleTimeout / idleChecks;
    }
    if (!this.closed) this.thread.loop.setTimer(this.timer, next > 0 ? next : 3_600_000);
  }
}
