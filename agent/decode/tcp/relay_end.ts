/**
 * One end of a TCP relay: what it receives goes to the other end at once; what its socket does not take waits here,
 * and the other end is not read until it has gone. So a direction never holds more than one read's worth.
 */
import { EPOLLERR, EPOLLHUP, EPOLLIN, EPOLLONESHOT, EPOLLOUT } from "../../sys/epoll.ts";
import type { Pipe } from "../../sys/pipe.ts";
import { FAILED, type Socket, WOULD_BLOCK } from "../../sys/socket.ts";
import type { TlsSession } from "../../sys/tls_session.ts";
import { ByteQueue } from "../../worker/buffers.ts";
import type { Deferred, Watcher } from "../../worker/event_loop.ts";
import type { DataThread } from "../../worker/thread.ts";

/** A read of this size or more: much is under way, and the next one goes through a pipe … */
const spliceFrom = 32 * 1024;
/** … until one brings less than this: then copying costs less than the pipe's bookkeeping. */
const spliceUntil = 8 * 1024;
/** Records of one turn are gathered up to this size before they are sent on. */
const gatherLimit = 64 * 1024;

/** The interest of a descriptor that has told its one event. */
const disarmed = 0;

/** What a relay hears of its ends. */
export interface RelayOwner {
  /** Bytes have arrived from this end. */
  received(end: RelayEnd, size: number): void;
  /** All that will ever go to this end has been sent, its end included. */
  finished(end: RelayEnd): void;
  /** The connection broke; the other end must be told. */
  broke(end: RelayEnd): void;
}

export class RelayEnd implements Watcher, Deferred {
  deferred = false;
  /** Where received bytes go; `null` until there is a connection. Nothing is read before. */
  #other: RelayEnd | null = null;
  readonly #out: ByteQueue;
  /** Holds bytes for this end, after those in {@link #out}. */
  #pipe: Pipe | null = null;
  /** The peer sends much at once. */
  #bulk = false;
  /** The peer has finished sending. */
  #ended = false;
  /** This end is to be told that no more will come, once all has been sent … */
  #finishing = false;
  /** … and has been told. */
  #finished = false;
  #blocked = false;
  #reading = false;
  #closed = false;
  #interest = EPOLLONESHOT;

  constructor(
    private readonly thread: DataThread,
    private readonly socket: Socket,
    private readonly tls: TlsSession | null,
    private readonly owner: RelayOwner,
  ) {
    this.#out = new ByteQueue(thread.slabs);
    // Breaks are reported even so.
    thread.loop.watch(socket.descriptor, this.#interest, this);
  }

  /** Begins to receive, for `other`. */
  relayTo(other: RelayEnd): void {
    this.#other = other;
    this.#resume();
  }

  get finished(): boolean {
    return this.#finished;
  }

  onEvents(events: number): void {
    if ((events & EPOLLOUT) !== 0) {
      this.#blocked = false;
      this.#flush();
      if (this.#closed) return;
    }
    if ((events & (EPOLLIN | EPOLLERR | EPOLLHUP)) === 0) return;
    if (this.#reading) this.#receive();
    else if ((events & EPOLLERR) !== 0 || this.#interest !== EPOLLONESHOT) this.owner.broke(this);
    // Both directions have ended, but what came last is still to be read: when the other end takes it.
    else this.#interest = disarmed;
  }

  /** What OpenSSL has taken from the socket, epoll does not tell of. */
  runDeferred(): void {
    if (!this.#closed && this.#reading && this.tls !== null && this.tls.hasPending()) this.#receive();
  }

  abandon(): void {
    this.owner.broke(this);
  }

  #resume(): void {
    if (this.#ended || this.#reading || this.#closed || this.#other === null) return;
    this.#reading = true;
    this.#updateInterest();
    if (this.tls !== null) this.thread.loop.defer(this);
  }

  #pause(): void {
    this.#reading = false;
    this.#updateInterest();
  }

  // ------------------------------------------------------------------------------------------------ receiving

  #receive(): void {
    const other = this.#other!;
    if (this.tls !== null) return this.#receiveRecords(this.tls, other);
    if (this.#bulk && other.tls === null) {
      const pipe = other.#pipe ??= this.thread.pipes.take();
      if (pipe !== null) return this.#receiveIntoPipe(pipe, other);
    }
    const { bytes, pointer } = this.thread.input;
    const count = this.socket.read(bytes, pointer, 0, bytes.length);
    if (count > 0) {
      this.#bulk = count >= spliceFrom;
      this.owner.received(this, count);
      other.#send(count);
    } else this.#onNothing(count);
  }

  #receiveRecords(tls: TlsSession, other: RelayEnd): void {
    const { bytes, pointer } = this.thread.input;
    let size = 0;
    let count = 0;
    do {
      count = tls.read(bytes, pointer, size, bytes.length - size);
      if (count > 0) size += count;
    } while (count > 0 && size < gatherLimit && tls.hasPending());
    if (size > 0) {
      this.owner.received(this, size);
      other.#send(size);
    }
    if (this.#closed) return;
    if (count <= 0) this.#onNothing(count);
    else if (tls.hasPending()) this.thread.loop.defer(this);
  }

  #receiveIntoPipe(pipe: Pipe, other: RelayEnd): void {
    const count = pipe.fill(this.socket);
    if (count > 0) {
      this.#bulk = count >= spliceUntil;
      this.owner.received(this, count);
      other.#flush();
    } else {
      other.#releasePipe();
      this.#onNothing(count);
    }
  }

  #onNothing(count: number): void {
    if (count === WOULD_BLOCK) return;
    // Many a TLS client closes without a word: what it sent still goes to the other end, as in Envoy.
    if (count === FAILED && !(this.tls !== null && this.tls.truncated)) return this.owner.broke(this);
    this.#ended = true;
    this.#pause();
    this.#other!.#finish();
  }

  // -------------------------------------------------------------------------------------------------- sending

  /** Sends the first `size` bytes of the thread's receive buffer. Nothing may be waiting. */
  #send(size: number): void {
    const { bytes, pointer } = this.thread.input;
    let position = 0;
    while (position < size && !this.#blocked) {
      const written = this.#write(bytes, pointer, position, size - position);
      if (written === WOULD_BLOCK) this.#blocked = true;
      else if (written <= 0) return this.owner.broke(this);
      else position += written;
    }
    if (position === size) return;
    this.#out.append(bytes, position, size - position);
    this.#other!.#pause();
    this.#updateInterest();
  }

  #write(bytes: Uint8Array<ArrayBuffer>, pointer: Deno.PointerValue, offset: number, size: number): number {
    return this.tls === null
      ? this.socket.write(bytes, pointer, offset, size)
      : this.tls.write(bytes, pointer, offset, size);
  }

  #flush(): void {
    const out = this.#out;
    while (out.length > 0 && !this.#blocked) {
      const written = this.#write(out.bytes, out.pointer, out.start, out.length);
      if (written === WOULD_BLOCK) this.#blocked = true;
      else if (written <= 0) return this.owner.broke(this);
      else out.consume(written);
    }
    const pipe = this.#pipe;
    while (pipe !== null && pipe.length > 0 && out.length === 0 && !this.#blocked) {
      const moved = pipe.drain(this.socket);
      if (moved === WOULD_BLOCK) this.#blocked = true;
      else if (moved <= 0) return this.owner.broke(this);
    }
    if (out.length > 0 || (pipe !== null && pipe.length > 0)) {
      this.#other!.#pause();
    } else {
      this.#releasePipe();
      if (this.#finishing) this.#sendEnd();
      else if (this.#other !== null) this.#other.#resume();
    }
    this.#updateInterest();
  }

  #releasePipe(): void {
    if (this.#pipe !== null) this.thread.pipes.give(this.#pipe);
    this.#pipe = null;
  }

  #finish(): void {
    this.#finishing = true;
    this.#flush();
  }

  #sendEnd(): void {
    if (this.#finished || this.#blocked) return;
    if (this.tls === null) this.socket.shutdownWrite();
    else if (!this.tls.finishWriting()) {
      this.#blocked = true;
      return;
    }
    this.#finished = true;
    this.owner.finished(this);
  }

  // --------------------------------------------------------------------------------------------------- the end

  /** @param reset the peer is to see a break, not an end */
  close(reset: boolean): void {
    if (this.#closed) return;
    this.#closed = true;
    this.thread.loop.unwatch(this.socket.descriptor);
    this.tls?.close();
    if (reset) this.socket.reset();
    else this.socket.close();
    this.#out.clear();
    this.#releasePipe();
  }

  #updateInterest(): void {
    // Hang-ups are reported whether one asks or not: where nothing can be done about them, once.
    const interest = (this.#reading ? EPOLLIN : 0) | (this.#blocked ? EPOLLOUT : 0) || EPOLLONESHOT;
    if (interest === this.#interest || this.#closed || (this.#interest === disarmed && interest === EPOLLONESHOT)) {
      return;
    }
    this.#interest = interest;
    this.thread.loop.change(this.socket.descriptor, interest);
  }
}
