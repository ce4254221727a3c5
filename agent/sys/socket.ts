/** Sockets that own their descriptor: closed exactly once, never used after. */
import { Errno, errno, errnoText, libc, MSG_DONTWAIT, MSG_NOSIGNAL, MSG_PEEK, SHUT_WR } from "./libc.ts";
import { decodeSocketAddress, encodeSocketAddress } from "./socket_address.ts";

/** What a read or write says when it moved no byte. Positive results are byte counts. */
export const WOULD_BLOCK = -1;
export const FAILED = -2;
/** The peer has finished sending. */
export const END_OF_STREAM = 0;

const SOCK_STREAM = 1;
const SOCK_NONBLOCK = 0x800;
const SOCK_CLOEXEC = 0x80000;
const SOL_SOCKET = 1;
const SO_REUSEADDR = 2;
const SO_ERROR = 4;
const SO_KEEPALIVE = 9;
const SO_LINGER = 13;
const SO_REUSEPORT = 15;
const SO_RCVLOWAT = 18;
const IPPROTO_TCP = 6;
const TCP_NODELAY = 1;
const TCP_KEEPIDLE = 4;
const TCP_KEEPINTVL = 5;
const TCP_KEEPCNT = 6;
const TCP_QUICKACK = 12;
const AF_UNIX = 1;

const value = new Int32Array(1);
const valueBytes = new Uint8Array(value.buffer);
/** `struct linger`: on, and not for a moment. */
const lingerNever = new Uint8Array(new Int32Array([1, 0]).buffer);
const length = new Uint32Array(1);
const lengthBytes = new Uint8Array(length.buffer);
const peerAddress = new Uint8Array(128);

function setOption(descriptor: number, level: number, option: number, setting: number): void {
  value[0] = setting;
  libc.setsockopt(descriptor, level, option, valueBytes, 4);
}

/** Tells watchers when descriptors are ready. */
interface Poller<W> {
  watch(descriptor: number, events: number, watcher: W): void;
  change(descriptor: number, events: number): void;
  unwatch(descriptor: number): void;
}

/** Raised where a socket cannot be made or bound; `code` is errno's value. */
export class SocketError extends Error {
  override name = "SocketError";
  constructor(message: string, readonly code: number) {
    super(message);
  }
}

/** A connected (or connecting) stream socket, non-blocking. */
export class Socket {
  readonly inProcess = false;
  /** -1 once closed. */
  descriptor: number;

  constructor(descriptor: number) {
    this.descriptor = descriptor;
  }

  /**
   * Starts connecting. The result is known when the socket becomes writable: see {@link connectError}.
   *
   * @throws SocketError when no socket can be made or the attempt fails at once.
   */
  static connect(address: string, port: number): Socket {
    const target = encodeSocketAddress(address, port);
    const descriptor = libc.socket(target.family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (descriptor < 0) throw new SocketError(errnoText(errno[0]), errno[0]);
    if (target.family !== AF_UNIX) setOption(descriptor, IPPROTO_TCP, TCP_NODELAY, 1);
    if (libc.connect(descriptor, target.bytes, target.bytes.length) < 0 && errno[0] !== Errno.EINPROGRESS) {
      const code = errno[0];
      libc.close(descriptor);
      throw new SocketError(errnoText(code), code);
    }
    return new Socket(descriptor);
  }

  /**
   * Two sockets that are each other's peers.
   *
   * @throws SocketError when they cannot be made.
   */
  static pair(): [Socket, Socket] {
    const descriptors = new Int32Array(2);
    const made = new Uint8Array(descriptors.buffer);
    if (libc.socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, made) < 0) {
      throw new SocketError(errnoText(errno[0]), errno[0]);
    }
    return [new Socket(descriptors[0]), new Socket(descriptors[1])];
  }

  watch<W>(poller: Poller<W>, events: number, watcher: W): void {
    poller.watch(this.#open(), events, watcher);
  }

  change<W>(poller: Poller<W>, events: number): void {
    poller.change(this.#open(), events);
  }

  /** Must precede closing. */
  unwatch<W>(poller: Poller<W>): void {
    poller.unwatch(this.#open());
  }

  /** The error of a connection attempt, 0 when it succeeded. */
  connectError(): number {
    length[0] = 4;
    if (libc.getsockopt(this.descriptor, SOL_SOCKET, SO_ERROR, valueBytes, lengthBytes) < 0) return errno[0];
    return value[0];
  }

  setKeepalive(probes: number, timeSeconds: number, intervalSeconds: number): void {
    setOption(this.descriptor, SOL_SOCKET, SO_KEEPALIVE, 1);
    if (probes > 0) setOption(this.descriptor, IPPROTO_TCP, TCP_KEEPCNT, probes);
    if (timeSeconds > 0) setOption(this.descriptor, IPPROTO_TCP, TCP_KEEPIDLE, timeSeconds);
    if (intervalSeconds > 0) setOption(this.descriptor, IPPROTO_TCP, TCP_KEEPINTVL, intervalSeconds);
  }

  /** Acknowledges what has come without the delay of 40 ms that waits for an answer to go along; once. */
  acknowledgeNow(): void {
    setOption(this.descriptor, IPPROTO_TCP, TCP_QUICKACK, 1);
  }

  /** Readiness is reported only from this many bytes on: for waiting on a longer ClientHello without spinning. */
  setReceiveLowWater(bytes: number): void {
    setOption(this.descriptor, SOL_SOCKET, SO_RCVLOWAT, bytes);
  }

  /** Reads into `buffer` from `offset` on; a byte count, {@link END_OF_STREAM}, {@link WOULD_BLOCK} or {@link FAILED}. */
  read(buffer: Uint8Array<ArrayBuffer>, pointer: Deno.PointerValue, offset: number, size: number): number {
    const count = offset === 0
      ? libc.recv_at(this.#open(), pointer, size, MSG_DONTWAIT)
      : libc.recv(this.#open(), buffer.subarray(offset), size, MSG_DONTWAIT);
    return count >= 0 ? count : errno[0] === Errno.EAGAIN || errno[0] === Errno.EINTR ? WOULD_BLOCK : FAILED;
  }

  /** Looks at what has arrived without taking it. */
  peek(buffer: Uint8Array<ArrayBuffer>, size: number): number {
    const count = libc.recv(this.#open(), buffer, size, MSG_DONTWAIT | MSG_PEEK);
    return count >= 0 ? count : errno[0] === Errno.EAGAIN || errno[0] === Errno.EINTR ? WOULD_BLOCK : FAILED;
  }

  /** Writes from `offset` on; a byte count, {@link WOULD_BLOCK} or {@link FAILED}. */
  write(buffer: Uint8Array<ArrayBuffer>, pointer: Deno.PointerValue, offset: number, size: number): number {
    const flags = MSG_DONTWAIT | MSG_NOSIGNAL;
    const count = offset === 0 && pointer !== null
      ? libc.send_at(this.#open(), pointer, size, flags)
      : libc.send(this.#open(), buffer.subarray(offset), size, flags);
    return count >= 0 ? count : errno[0] === Errno.EAGAIN || errno[0] === Errno.EINTR ? WOULD_BLOCK : FAILED;
  }

  /** No more will be sent; the peer reads an end of stream. */
  shutdownWrite(): void {
    libc.shutdown(this.#open(), SHUT_WR);
  }

  close(): void {
    libc.close(this.#open());
    this.descriptor = -1;
  }

  /** Closes so that the peer learns of a break (RST), not of an end. What has not been sent is lost. */
  reset(): void {
    libc.setsockopt(this.#open(), SOL_SOCKET, SO_LINGER, lingerNever, 8);
    this.close();
  }

  #open(): number {
    if (this.descriptor < 0) throw new Error("socket used after it was closed");
    return this.descriptor;
  }
}

/** What {@link ListeningSocket.accept} says when there is no connection to take. */
export const NO_CONNECTION = 0;
/** No descriptor or memory is left: wait before trying again. */
export const NO_RESOURCES = 1;

/** A listening TCP socket with SO_REUSEPORT, so that every data thread has its own for one address. */
export class ListeningSocket {
  descriptor: number;
  /** Peer of the connection last accepted. */
  peer: { address: string; port: number } = { address: "", port: 0 };

  /** @throws SocketError when the address cannot be bound. */
  constructor(address: string, port: number) {
    const target = encodeSocketAddress(address, port);
    const descriptor = libc.socket(target.family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (descriptor < 0) throw new SocketError(errnoText(errno[0]), errno[0]);
    setOption(descriptor, SOL_SOCKET, SO_REUSEADDR, 1);
    setOption(descriptor, SOL_SOCKET, SO_REUSEPORT, 1);
    if (libc.bind(descriptor, target.bytes, target.bytes.length) < 0 || libc.listen(descriptor, 4096) < 0) {
      const code = errno[0];
      libc.close(descriptor);
      throw new SocketError(`cannot listen on ${address}:${port}: ${errnoText(code)}`, code);
    }
    this.descriptor = descriptor;
  }

  /** Takes a connection, or says {@link NO_CONNECTION} or {@link NO_RESOURCES}; sets {@link peer}. */
  accept(): Socket | typeof NO_CONNECTION | typeof NO_RESOURCES {
    length[0] = peerAddress.length;
    const descriptor = libc.accept4(this.descriptor, peerAddress, lengthBytes, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (descriptor < 0) {
      const code = errno[0];
      return code === Errno.EMFILE || code === Errno.ENFILE || code === Errno.ENOBUFS || code === Errno.ENOMEM
        ? NO_RESOURCES
        : NO_CONNECTION;
    }
    this.peer = decodeSocketAddress(peerAddress);
    setOption(descriptor, IPPROTO_TCP, TCP_NODELAY, 1);
    return new Socket(descriptor);
  }

  /** The port really bound, where 0 was asked for. */
  boundPort(): number {
    length[0] = peerAddress.length;
    libc.getsockname(this.descriptor, peerAddress, lengthBytes);
    return decodeSocketAddress(peerAddress).port;
  }

  close(): void {
    if (this.descriptor < 0) throw new Error("listening socket closed twice");
    libc.close(this.descriptor);
    this.descriptor = -1;
  }
}
