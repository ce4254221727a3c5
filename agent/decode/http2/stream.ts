/** A stream of an HTTP/2 connection, the part that is the same for both sides: windows, and data that waits for them. */
import { ByteQueue } from "../../worker/buffers.ts";
import { activityThreshold, highWaterMark, lowWaterMark } from "../../worker/connection.ts";
import type { Fields } from "../head.ts";
import type { Http2Connection } from "./connection.ts";
import { ErrorCode, Limit } from "./protocol.ts";

export abstract class Http2Stream {
  sendWindow: number;
  receiveWindow: number = Limit.streamWindow;
  remoteClosed = false;
  localClosed = false;
  /** When it began, and when something last moved, on the loop's clock. */
  readonly openedAt: number;
  lastActivity: number;
  /** Bytes sent since. */
  #sent = 0;
  #received = 0;
  /** Data that the windows do not let through yet; `null`: none so far. */
  #pending: ByteQueue | null = null;
  #endPending = false;
  /** A trailer section to send behind the data. */
  #trailers: ByteQueue | null = null;
  /** Bytes received whose window has not been given back. */
  #unacknowledged = 0;

  constructor(readonly session: Http2Connection<Http2Stream>, readonly id: number) {
    this.sendWindow = session.peer.initialWindow;
    this.openedAt = this.lastActivity = session.thread.loop.now;
  }

  /** A header block after the first: it stands in the thread's sink. */
  abstract onHeaders(endStream: boolean): void;
  /** `windowSize`: what the frame took from the window, padding included. */
  abstract onData(
    bytes: Uint8Array<ArrayBuffer>,
    offset: number,
    size: number,
    windowSize: number,
    endStream: boolean,
  ): void;
  /** The stream is over before its time: by the peer, by its fault, or with the connection. */
  abstract onReset(code: number): void;
  /** As {@link onReset}, by the peer's fault. */
  onBroken(code: number): void {
    this.onReset(code);
  }
  /** What was sent has gone out far enough for more. */
  abstract onDrained(): void;
  /** Whether what is received is taken no further for now. */
  protected abstract get receiverCongested(): boolean;

  /** Whether few bytes now and then may be all that the peer has to say, as of messages of its own making. */
  protected get mayTrickle(): boolean {
    return true;
  }

  get congested(): boolean {
    return this.session.congested || (this.#pending !== null && this.#pending.length > highWaterMark);
  }

  /** Counts received bytes; the peer may send as many again once the receiver takes more. */
  protected received(size: number): void {
    this.#received += size;
    if (this.mayTrickle || this.#received >= activityThreshold) this.#active();
    this.#unacknowledged += size;
    this.giveBack();
  }

  /** Gives the window back, unless the receiver is congested or it is not worth a frame yet. */
  protected giveBack(): void {
    if (this.remoteClosed || this.#unacknowledged < Limit.streamWindow / 2 || this.receiverCongested) return;
    this.session.frames.windowUpdate(this.id, this.#unacknowledged);
    this.receiveWindow += this.#unacknowledged;
    this.#unacknowledged = 0;
    this.session.scheduleFlush();
  }

  /** Sends data as far as the windows go; the rest follows when they open. */
  protected writeData(bytes: Uint8Array, offset: number, size: number): void {
    const sent = this.#pending === null || this.#pending.length === 0 ? this.#writeNow(bytes, offset, size) : 0;
    if (sent < size) {
      this.#pending ??= new ByteQueue(this.session.thread.slabs);
      this.#pending.append(bytes, offset + sent, size - sent);
    }
    this.session.scheduleFlush();
  }

  #writeNow(bytes: Uint8Array, offset: number, size: number): number {
    const { session } = this;
    let sent = 0;
    while (sent < size) {
      const part = Math.min(size - sent, this.sendWindow, session.sendWindow, session.peer.frameSize);
      if (part <= 0) break;
      session.frames.data(this.id, bytes, offset + sent, part, false);
      this.sendWindow -= part;
      session.sendWindow -= part;
      sent += part;
    }
    if (sent > 0) this.#countSent(sent, sent === size);
    return sent;
  }

  /** A peer that lets a byte of many through now and then is as good as idle. */
  #countSent(size: number, whole: boolean): void {
    this.#sent += size;
    if (!whole && this.#sent < activityThreshold) return;
    this.#active();
  }

  #active(): void {
    this.#sent = this.#received = 0;
    this.lastActivity = this.session.thread.loop.now;
  }

  /** Keeps a trailer section until the data is through. */
  protected writeTrailers(fields: Fields): void {
    this.#trailers ??= new ByteQueue(this.session.thread.slabs);
    for (let i = 0; i < fields.count; i++) {
      if (fields.dropped[i] !== 0) continue;
      this.#trailers.append(fields.bytes, fields.nameStart(i), fields.valueEnd(i) - fields.nameStart(i));
      this.#trailers.appendText("\r\n");
    }
  }

  /** Nothing more will be sent. */
  protected writeEnd(): void {
    if (this.#pending !== null && this.#pending.length > 0) this.#endPending = true;
    else this.#end();
  }

  #end(): void {
    const { session } = this;
    if (this.#trailers !== null && this.#trailers.length > 0) {
      session.beginHeaders();
      session.sendHeaders(this.id, this.#trailers, true);
    } else session.frames.endStream(this.id);
    this.closeLocal();
    session.scheduleFlush();
  }

  /** Our side is done. */
  protected closeLocal(): void {
    this.localClosed = true;
    this.#finishIfDone();
  }

  /** The peer's side is done. */
  protected closeRemote(): void {
    this.remoteClosed = true;
    this.#active();
    this.#finishIfDone();
  }

  #finishIfDone(): void {
    if (this.localClosed && this.remoteClosed) this.session.finish(this);
  }

  get hasPending(): boolean {
    return this.#pending !== null && this.#pending.length > 0;
  }

  /** A window has opened: sends what waited for it, `limit` bytes at the most. Whether more could be sent. */
  sendPending(limit = Infinity): boolean {
    const pending = this.#pending;
    if (pending === null || pending.length === 0) return false;
    const before = pending.length;
    const sent = this.#writeNow(pending.bytes, pending.start, Math.min(before, limit));
    if (sent === 0) return false;
    pending.consume(sent);
    this.session.scheduleFlush();
    if (pending.length === 0 && this.#endPending) this.#end();
    else if (before > lowWaterMark && pending.length <= lowWaterMark && !this.session.congested) this.onDrained();
    return pending.length > 0 && this.sendWindow > 0;
  }

  /** Gives back memory: the stream is gone. */
  release(): void {
    this.#pending?.clear();
    this.#trailers?.clear();
  }

  protected abort(code: number = ErrorCode.internalError): void {
    this.session.reset(this, code);
  }
}
