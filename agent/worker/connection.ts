/**
 * A connection of a data thread, whichever side and protocol: its socket, TLS session, epoll interest and output
 * queue. Codecs extend it.
 */
import { EPOLLERR, EPOLLHUP, EPOLLIN, EPOLLOUT } from "../sys/epoll.ts";
import { END_OF_STREAM, FAILED, WOULD_BLOCK } from "../sys/socket.ts";
import type { TlsSession } from "../sys/tls_session.ts";
import { ByteQueue } from "./buffers.ts";
import type { Deferred, Watcher } from "./event_loop.ts";
import type { DataThread } from "./thread.ts";
import { Timer } from "./timer_wheel.ts";
import type { Transport } from "./transport.ts";

/** Above this much unsent output, whoever produces it is told to pause … */
export const highWaterMark = 64 * 1024;
/** … and to go on below this. */
export const lowWaterMark = 16 * 1024;
/** Of a body that is owed whole, moving less than this is no activity (bytes): whoever trickles is as good as idle. */
export const activityThreshold = 1024;
/** How long the last words of a connection may take to be read, milliseconds. */
const closeTime = 60_000;
/** How long a closed connection may still deliver its last bytes to a peer that goes on sending. */
const lingerTime = 1000;

export abstract class Connection implements Watcher, Deferred {
  readonly out: ByteQueue;
  tls: TlsSession | null = null;
  deferred = false;
  closed = false;
  /** The one deadline of this connection's current state. */
  readonly timer: Timer;
  #reading = true;
  #writeBlocked = false;
  #closing = false;
  #lingering = false;
  /** Our side ends when what is queued has been sent. */
  #finishing = false;
  #interest = EPOLLIN;

  constructor(readonly thread: DataThread, readonly socket: Transport) {
    this.out = new ByteQueue(thread.slabs);
    socket.watch(thread.loop, EPOLLIN, this);
    this.timer = new Timer(() => this.#closing ? this.close() : this.onDeadline());
  }

  /** Readable bytes, an end of stream or an error wait: call {@link read}. */
  protected abstract onReadable(): void;
  /** The output queue has fallen below the low water mark after it was above the high one. */
  protected abstract onDrained(): void;
  /** The connection is about to close: `failed` when the transport broke. Called once. */
  protected abstract onClose(failed: boolean): void;
  /** The timer has fired. */
  protected abstract onDeadline(): void;
  /** The deferred turn beyond flushing: a codec with input left continues here. */
  protected continueInput(): void {}

  onEvents(events: number): void {
    if (this.#lingering) {
      this.#discardInput();
      return;
    }
    if ((events & EPOLLOUT) !== 0) {
      this.#writeBlocked = false;
      this.flush();
      if (this.closed) return;
    }
    if ((events & (EPOLLIN | EPOLLERR | EPOLLHUP)) !== 0) {
      if (this.#reading) this.onReadable();
      // Errors are reported whether one asks or not: not reading them would spin.
      else if ((events & (EPOLLERR | EPOLLHUP)) !== 0) this.fail();
    }
  }

  runDeferred(): void {
    if (this.closed) return;
    this.continueInput();
    if (!this.closed && !this.#lingering) this.flush();
  }

  /** Reads into the thread's receive buffer at `offset`; a count, or what `sys/socket.ts` says otherwise. */
  protected read(offset: number): number {
    const { bytes, pointer } = this.thread.input;
    const size = bytes.length - offset;
    return this.tls === null
      ? this.socket.read(bytes, pointer, offset, size)
      : this.tls.read(bytes, pointer, offset, size);
  }

  /** Sends what is queued as far as the socket takes it. */
  flush(): void {
    const out = this.out;
    const before = out.length;
    while (out.length > 0 && !this.#writeBlocked) {
      const written = this.tls === null
        ? this.socket.write(out.bytes, out.pointer, out.start, out.length)
        : this.tls.write(out.bytes, out.pointer, out.start, out.length);
      if (written === WOULD_BLOCK) this.#writeBlocked = true;
      else if (written <= 0) return this.fail();
      else out.consume(written);
    }
    this.#updateInterest();
    if (before > lowWaterMark && out.length <= lowWaterMark) this.onDrained();
    if (out.length > 0 || this.closed) return;
    if (this.#closing) this.#finishClosing();
    else if (this.#finishing) this.#endOutput();
  }

  /** Asks for a flush, when the current event is done or (where many streams write) when all events of the turn are. */
  scheduleFlush(): void {
    this.thread.loop.defer(this);
  }

  get congested(): boolean {
    return this.out.length > highWaterMark;
  }

  get reading(): boolean {
    return this.#reading;
  }

  setReading(reading: boolean): void {
    if (this.#reading === reading || this.closed) return;
    this.#reading = reading;
    this.#updateInterest();
  }

  #updateInterest(): void {
    this.#setInterest((this.#reading ? EPOLLIN : 0) | (this.#writeBlocked ? EPOLLOUT : 0));
  }

  #setInterest(interest: number): void {
    if (interest === this.#interest || this.closed) return;
    this.#interest = interest;
    this.socket.change(this.thread.loop, interest);
  }

  /**
   * Closes when the queued output has been sent. Where the peer may still be sending, its bytes are read and dropped
   * for a second: closing over unread input makes the kernel reset the connection and lose our last words.
   */
  closeAfterFlush(): void {
    if (this.#closing) return;
    this.#closing = true;
    // Whatever the peer goes on sending does not refresh it.
    this.thread.loop.setTimer(this.timer, closeTime);
    this.scheduleFlush();
  }

  /** Ends our side of the connection when the queued output has been sent; the peer may go on sending. */
  finishAfterFlush(): void {
    this.#finishing = true;
    this.scheduleFlush();
  }

  #endOutput(): void {
    if (this.tls !== null && !this.tls.finishWriting()) {
      this.#writeBlocked = true;
      return this.#updateInterest();
    }
    this.#finishing = false;
    this.socket.shutdownWrite();
  }

  get closing(): boolean {
    return this.#closing;
  }

  #finishClosing(): void {
    this.#lingering = true;
    if (this.tls !== null) {
      this.tls.close();
      this.tls = null;
    }
    this.socket.shutdownWrite();
    this.thread.loop.setTimer(this.timer, lingerTime);
    this.#reading = true;
    this.#setInterest(EPOLLIN);
    this.#discardInput();
  }

  #discardInput(): void {
    const { bytes, pointer } = this.thread.input;
    const count = this.socket.read(bytes, pointer, 0, bytes.length);
    if (count === END_OF_STREAM || count === FAILED) this.close();
  }

  /** Gives socket and session to another codec, which has been given them already: nothing is closed. */
  protected handOver(): void {
    this.closed = true;
    this.thread.loop.clearTimer(this.timer);
    this.out.clear();
  }

  /** The transport broke or the peer broke the rules. */
  fail(): void {
    this.#close(true);
  }

  close(): void {
    this.#close(false);
  }

  /** Closes so that the peer sees a break, where an orderly end would look like the end of what was being sent. */
  protected breakOff(): void {
    this.#close(false, true);
  }

  /** Something threw in its midst: it costs this connection. */
  abandon(): void {
    this.#close(true);
  }

  #close(failed: boolean, reset = false): void {
    if (this.closed) return;
    this.closed = true;
    this.thread.loop.clearTimer(this.timer);
    this.socket.unwatch(this.thread.loop);
    if (this.tls !== null) {
      this.tls.close();
      this.tls = null;
    }
    if (reset) this.socket.reset();
    else this.socket.close();
    this.out.clear();
    this.onClose(failed);
  }
}
