/** A pipe through which bytes pass from one socket to another without entering this process: splice(2). */
import { Errno, errno, libc } from "./libc.ts";
import { FAILED, type Socket, WOULD_BLOCK } from "./socket.ts";

const O_NONBLOCK_CLOEXEC = 0x800 | 0x80000;
const SPLICE_F_MOVE_NONBLOCK = 0x1 | 0x2;
const F_SETPIPE_SZ = 1031;
/** Four times Linux's default (pipe(7)): fewer, fuller calls cost a fifth less processor time per byte. */
const capacity = 256 * 1024;

const ends = new Int32Array(2);
const endBytes = new Uint8Array(ends.buffer);

export class Pipe {
  /** Bytes in the pipe. */
  length = 0;
  #closed = false;

  private constructor(private readonly output: number, private readonly input: number) {}

  /** A new pipe, or `null` when no descriptors are left. */
  static open(): Pipe | null {
    if (libc.pipe2(endBytes, O_NONBLOCK_CLOEXEC) < 0) return null;
    // Refused where the user has many pipes: a smaller one does as well.
    libc.fcntl(ends[1], F_SETPIPE_SZ, capacity);
    return new Pipe(ends[0], ends[1]);
  }

  /** Takes what has arrived at a socket, as {@link Socket.read} does. The pipe must be empty. */
  fill(source: Socket): number {
    this.#check();
    return this.#moved(libc.splice(source.descriptor, null, this.input, null, capacity, SPLICE_F_MOVE_NONBLOCK), 1);
  }

  /** Moves what the pipe holds to a socket, as {@link Socket.write} does. The pipe must not be empty. */
  drain(target: Socket): number {
    this.#check();
    return this.#moved(
      libc.splice(this.output, null, target.descriptor, null, this.length, SPLICE_F_MOVE_NONBLOCK),
      -1,
    );
  }

  close(): void {
    this.#check();
    this.#closed = true;
    libc.close(this.input);
    libc.close(this.output);
  }

  #moved(count: number, sign: number): number {
    if (count < 0) return errno[0] === Errno.EAGAIN || errno[0] === Errno.EINTR ? WOULD_BLOCK : FAILED;
    this.length += sign * count;
    return count;
  }

  #check(): void {
    if (this.#closed) throw new Error("pipe used after it was closed");
  }
}
