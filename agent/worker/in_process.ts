/**
 * Connections between two workloads of one agent, within one data thread: bytes go from one end's queue to the other's,
 * as between Envoy's internal listeners and their user space sockets.
 *
 * What such a connection is was settled on a pair of real sockets: ClientHello, filter chain, the certificates of both
 * sides and what each asks of the other's, as between two machines. Only then, where both sides speak HTTP/2, the
 * sockets and TLS are left behind; the bytes never leave the process.
 */
import { EPOLLERR, EPOLLHUP, EPOLLIN, EPOLLOUT } from "../sys/epoll.ts";
import { END_OF_STREAM, FAILED, Socket, WOULD_BLOCK } from "../sys/socket.ts";
import type { TlsSession } from "../sys/tls_session.ts";
import { ByteQueue, type SlabPool } from "./buffers.ts";
import type { Deferred, EventLoop, Watcher } from "./event_loop.ts";
import type { DataThread } from "./thread.ts";
import type { Transport } from "./transport.ts";

/** Bytes that wait for the receiver at the most, as in a socket's buffer. */
const capacity = 128 * 1024;

/** One end. Its watcher hears of readiness when a turn of the loop ends, never from within the other end's call. */
export class InProcessEnd implements Transport, Deferred {
  readonly inProcess = true;
  deferred = false;
  #peer: InProcessEnd | null = null;
  readonly #received: ByteQueue;
  #watcher: Watcher | null = null;
  #interest = 0;
  /** The peer sends no more. */
  #ended = false;
  /** The peer has broken the connection off. */
  #broken = false;
  #closed = false;

  constructor(private readonly loop: Pick<EventLoop, "deferInProcess">, slabs: SlabPool) {
    this.#received = new ByteQueue(slabs);
  }

  static join(one: InProcessEnd, other: InProcessEnd): void {
    one.#peer = other;
    other.#peer = one;
  }

  watch(_loop: unknown, events: number, watcher: Watcher): void {
    this.#watcher = watcher;
    this.#interest = events;
    this.#tell();
  }

  change(_loop: unknown, events: number): void {
    this.#interest = events;
    this.#tell();
  }

  unwatch(): void {
    this.#watcher = null;
  }

  read(buffer: Uint8Array<ArrayBuffer>, _pointer: Deno.PointerValue, offset: number, size: number): number {
    this.#assertOpen();
    if (this.#broken) return FAILED;
    const received = this.#received;
    if (received.length === 0) return this.#ended ? END_OF_STREAM : WOULD_BLOCK;
    const count = Math.min(size, received.length);
    buffer.set(received.bytes.subarray(received.start, received.start + count), offset);
    received.consume(count);
    this.#peer!.#tell();
    return count;
  }

  write(buffer: Uint8Array<ArrayBuffer>, _pointer: Deno.PointerValue, offset: number, size: number): number {
    this.#assertOpen();
    const peer = this.#peer!;
    if (this.#broken || peer.#closed) return FAILED;
    const count = Math.min(size, capacity - peer.#received.length);
    if (count === 0) return WOULD_BLOCK;
    peer.#received.append(buffer, offset, count);
    peer.#tell();
    return count;
  }

  acknowledgeNow(): void {}

  shutdownWrite(): void {
    this.#assertOpen();
    this.#peer!.#ended = true;
    this.#peer!.#tell();
  }

  close(): void {
    // As with a socket: who closes over input that was not read breaks off.
    if (this.#received.length > 0) return this.reset();
    this.shutdownWrite();
    this.#closed = true;
  }

  reset(): void {
    this.#assertOpen();
    const peer = this.#peer!;
    peer.#broken = true;
    peer.#received.clear();
    peer.#tell();
    this.#received.clear();
    this.#closed = true;
  }

  runDeferred(): void {
    const events = this.#ready();
    if (events === 0) return;
    this.#watcher!.onEvents(events);
    // What is left is told again, as epoll does.
    this.#tell();
  }

  abandon(): void {
    this.#watcher?.abandon();
  }

  #tell(): void {
    if (this.#ready() !== 0) this.loop.deferInProcess(this);
  }

  /** What the watcher is to hear of now. */
  #ready(): number {
    if (this.#watcher === null) return 0;
    if (this.#broken) return EPOLLERR | EPOLLHUP | (this.#interest & EPOLLIN);
    const readable = this.#received.length > 0 || this.#ended;
    const peer = this.#peer!;
    const writable = peer.#closed || peer.#received.length < capacity;
    return this.#interest & ((readable ? EPOLLIN : 0) | (writable ? EPOLLOUT : 0));
  }

  #assertOpen(): void {
    if (this.#closed) throw new Error("in-process connection used after it was closed");
  }
}

/** A connection within the thread while it is made, on a pair of sockets. */
export class InProcessPair {
  readonly callerSocket: Socket;
  readonly receiverSocket: Socket;
  readonly #caller: InProcessEnd;
  readonly #receiver: InProcessEnd;
  /** Set before the caller's handshake can end where the receiver will not leave the sockets. */
  staysOnSockets = false;
  /** What the caller has left behind, until the receiver needs it no more. */
  #left: { tls: TlsSession; socket: Socket } | null = null;
  #receiverDone = false;

  /** @throws SocketError when no sockets can be made. */
  constructor(thread: DataThread) {
    [this.callerSocket, this.receiverSocket] = Socket.pair();
    this.#caller = new InProcessEnd(thread.loop, thread.slabs);
    this.#receiver = new InProcessEnd(thread.loop, thread.slabs);
    InProcessEnd.join(this.#caller, this.#receiver);
  }

  /** The caller's handshake is done: takes over its socket and session, which nobody watches any more. */
  takeCaller(tls: TlsSession, socket: Socket): InProcessEnd {
    this.#left = { tls, socket };
    if (this.#receiverDone) this.#release();
    return this.#caller;
  }

  /** The receiver's likewise. */
  takeReceiver(tls: TlsSession, socket: Socket): InProcessEnd {
    tls.close();
    socket.close();
    this.#receiverDone = true;
    this.#release();
    return this.#receiver;
  }

  /** The caller has closed its socket, whatever the receiver thinks of it. */
  giveUp(): void {
    this.#caller.close();
  }

  /** The receiver has closed its socket: it will not have this caller. */
  refuse(): void {
    this.#receiver.close();
    this.#receiverDone = true;
    this.#release();
  }

  #release(): void {
    this.#left?.tls.close();
    this.#left?.socket.close();
    this.#left = null;
  }
}
