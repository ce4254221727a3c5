/** An epoll instance: level-triggered readiness of descriptors. */
import { Errno, errno, errnoText, libc } from "./libc.ts";

export const EPOLLIN = 0x1;
export const EPOLLOUT = 0x4;
export const EPOLLERR = 0x8;
export const EPOLLHUP = 0x10;
export const EPOLLRDHUP = 0x2000;
/** One event, then nothing (errors included) until the interest is set again. */
export const EPOLLONESHOT = 0x40000000;

const EPOLL_CTL_ADD = 1;
const EPOLL_CTL_DEL = 2;
const EPOLL_CTL_MOD = 3;

/** `struct epoll_event` is packed on x86-64 only. Sizes in 32-bit words. */
const words = Deno.build.arch === "x86_64" ? 3 : 4;
const dataWord = words - 2;
const maximumEvents = 512;

export class Epoll {
  readonly #descriptor: number;
  readonly #events = new Int32Array(words * maximumEvents);
  readonly #eventBytes = new Uint8Array(this.#events.buffer);
  readonly #change = new Int32Array(words);
  readonly #changeBytes = new Uint8Array(this.#change.buffer);

  constructor() {
    const EPOLL_CLOEXEC = 0x80000;
    this.#descriptor = libc.epoll_create1(EPOLL_CLOEXEC);
    if (this.#descriptor < 0) throw new Error(`epoll_create1: ${errnoText(errno[0])}`);
  }

  add(descriptor: number, events: number): void {
    this.#control(EPOLL_CTL_ADD, descriptor, events);
  }

  modify(descriptor: number, events: number): void {
    this.#control(EPOLL_CTL_MOD, descriptor, events);
  }

  remove(descriptor: number): void {
    this.#control(EPOLL_CTL_DEL, descriptor, 0);
  }

  #control(operation: number, descriptor: number, events: number): void {
    this.#change[0] = events;
    this.#change[dataWord] = descriptor;
    if (libc.epoll_ctl(this.#descriptor, operation, descriptor, this.#changeBytes) < 0) {
      throw new Error(`epoll_ctl ${operation} of descriptor ${descriptor}: ${errnoText(errno[0])}`);
    }
  }

  /**
   * Waits up to `timeout` milliseconds (-1: for ever) and returns how many events there are; {@link descriptorAt} and
   * {@link eventsAt} tell them.
   */
  wait(timeout: number): number {
    const count = libc.epoll_wait(this.#descriptor, this.#eventBytes, maximumEvents, timeout);
    if (count < 0) {
      if (errno[0] === Errno.EINTR) return 0;
      throw new Error(`epoll_wait: ${errnoText(errno[0])}`);
    }
    return count;
  }

  descriptorAt(index: number): number {
    return this.#events[index * words + dataWord];
  }

  eventsAt(index: number): number {
    return this.#events[index * words];
  }

  close(): void {
    libc.close(this.#descriptor);
  }
}
