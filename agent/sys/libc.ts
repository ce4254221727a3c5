/**
 * The C library calls of the data plane, through Deno's FFI.
 *
 * Lengths are `u32` and results `i32`: with `usize` every call would allocate a bigint. All calls return at once
 * (descriptors are non-blocking) but those marked otherwise. A call that returns -1 leaves its reason in
 * {@link errno}, which must be read before any other call of this thread.
 */

const library = Deno.dlopen(
  "libc.so.6",
  {
    socket: { parameters: ["i32", "i32", "i32"], result: "i32" },
    socketpair: { parameters: ["i32", "i32", "i32", "buffer"], result: "i32" },
    bind: { parameters: ["i32", "buffer", "u32"], result: "i32" },
    listen: { parameters: ["i32", "i32"], result: "i32" },
    accept4: { parameters: ["i32", "buffer", "buffer", "i32"], result: "i32" },
    connect: { parameters: ["i32", "buffer", "u32"], result: "i32" },
    getsockname: { parameters: ["i32", "buffer", "buffer"], result: "i32" },
    setsockopt: { parameters: ["i32", "i32", "i32", "buffer", "u32"], result: "i32" },
    getsockopt: { parameters: ["i32", "i32", "i32", "buffer", "buffer"], result: "i32" },
    recv: { parameters: ["i32", "buffer", "u32", "i32"], result: "i32" },
    recv_at: { name: "recv", parameters: ["i32", "pointer", "u32", "i32"], result: "i32" },
    send: { parameters: ["i32", "buffer", "u32", "i32"], result: "i32" },
    send_at: { name: "send", parameters: ["i32", "pointer", "u32", "i32"], result: "i32" },
    send_blocking: { name: "send", parameters: ["i32", "buffer", "u32", "i32"], result: "i32", nonblocking: true },
    shutdown: { parameters: ["i32", "i32"], result: "i32" },
    close: { parameters: ["i32"], result: "i32" },
    open: { parameters: ["buffer", "i32", "i32"], result: "i32" },
    write: { parameters: ["i32", "buffer", "u32"], result: "i32" },
    unlink: { parameters: ["buffer"], result: "i32" },
    pipe2: { parameters: ["buffer", "i32"], result: "i32" },
    fcntl: { parameters: ["i32", "i32", "i32"], result: "i32" },
    splice: { parameters: ["i32", "pointer", "i32", "pointer", "u32", "u32"], result: "i32" },
    epoll_create1: { parameters: ["i32"], result: "i32" },
    epoll_ctl: { parameters: ["i32", "i32", "i32", "buffer"], result: "i32" },
    epoll_wait: { parameters: ["i32", "buffer", "i32", "i32"], result: "i32" },
    getrlimit: { parameters: ["i32", "buffer"], result: "i32" },
    setrlimit: { parameters: ["i32", "buffer"], result: "i32" },
    malloc_trim: { parameters: ["usize"], result: "i32" },
    __errno_location: { parameters: [], result: "pointer" },
  } as const,
);

export const libc = library.symbols;

/** A live view of this thread's errno: `errno[0]`. */
export const errno: Int32Array = new Int32Array(Deno.UnsafePointerView.getArrayBuffer(libc.__errno_location()!, 4));

export const Errno = {
  EINTR: 4,
  EAGAIN: 11,
  ENFILE: 23,
  EMFILE: 24,
  EPIPE: 32,
  EADDRINUSE: 98,
  EADDRNOTAVAIL: 99,
  ENOBUFS: 105,
  ENOMEM: 12,
  ETIMEDOUT: 110,
  ECONNREFUSED: 111,
  EHOSTUNREACH: 113,
  EINPROGRESS: 115,
  ECONNRESET: 104,
  EACCES: 13,
} as const;

const names: Record<number, string> = {
  [Errno.EACCES]: "permission denied",
  [Errno.EMFILE]: "too many open files",
  [Errno.EADDRINUSE]: "address in use",
  [Errno.EADDRNOTAVAIL]: "address not available on this host",
  [Errno.ETIMEDOUT]: "connection timed out",
  [Errno.ECONNREFUSED]: "Connection refused",
  [Errno.EHOSTUNREACH]: "No route to host",
  [Errno.ECONNRESET]: "Connection reset by peer",
};

/** A sentence for an errno value. */
export function errnoText(code: number): string {
  return names[code] ?? `errno ${code}`;
}

export const MSG_PEEK = 0x2;
export const MSG_DONTWAIT = 0x40;
export const MSG_NOSIGNAL = 0x4000;
export const SHUT_WR = 1;

/** A pair of connected stream sockets, both blocking. */
export function socketpair(): [number, number] {
  const pair = new Int32Array(2);
  // AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC
  if (libc.socketpair(1, 1 | 0x80000, 0, new Uint8Array(pair.buffer)) < 0) {
    throw new Error(`cannot make a socket pair: ${errnoText(errno[0])}`);
  }
  return [pair[0], pair[1]];
}

/**
 * Sends all bytes on a blocking socket, on a thread of the runtime's pool, so that the caller's event loop goes on.
 *
 * @throws Error when the other end is gone.
 */
export async function sendAll(descriptor: number, bytes: Uint8Array): Promise<void> {
  let rest = bytes as Uint8Array<ArrayBuffer>;
  while (rest.length > 0) {
    const sent = await libc.send_blocking(descriptor, rest, rest.length, MSG_NOSIGNAL);
    // errno belongs to the pool's thread and cannot be read here.
    if (sent <= 0) throw new Error("the other end of the channel is closed");
    rest = rest.subarray(sent);
  }
}

/** Closes a descriptor that no object owns. */
export function closeDescriptor(descriptor: number): void {
  libc.close(descriptor);
}

/** Opens a file for appending, making it where need be (mode 0640); -1 when that fails. */
export function appendDescriptor(path: string): number {
  const O_WRONLY_CREAT_APPEND_CLOEXEC = 0x1 | 0x40 | 0x400 | 0x80000;
  return libc.open(new TextEncoder().encode(path + "\0"), O_WRONLY_CREAT_APPEND_CLOEXEC, 0o640);
}

/** Writes all bytes to a file; false when that fails. */
export function writeAll(descriptor: number, bytes: Uint8Array<ArrayBuffer>): boolean {
  let rest = bytes;
  while (rest.length > 0) {
    const written = libc.write(descriptor, rest, rest.length);
    if (written < 0 && errno[0] === Errno.EINTR) continue;
    if (written <= 0) return false;
    rest = rest.subarray(written);
  }
  return true;
}

/** Raises the soft limit of open files to the hard limit; returns the limit in force. */
export function raiseOpenFileLimit(): number {
  const limit = new BigUint64Array(2);
  const bytes = new Uint8Array(limit.buffer);
  const RLIMIT_NOFILE = 7;
  if (libc.getrlimit(RLIMIT_NOFILE, bytes) < 0) return 1024;
  if (limit[0] < limit[1]) {
    limit[0] = limit[1];
    libc.setrlimit(RLIMIT_NOFILE, bytes);
    libc.getrlimit(RLIMIT_NOFILE, bytes);
  }
  return Number(limit[0]);
}

/**
 * Hands memory that C and Rust have freed back to the system. glibc keeps it otherwise, in a heap of each thread that
 * ever asked for some, and what a start takes for a moment stays resident for good.
 */
export function releaseFreedMemory(): void {
  libc.malloc_trim(0n);
}
