/** What carries the bytes of a connection: a socket, or one end of an {@link InProcessPair}. */
import type { EventLoop, Watcher } from "./event_loop.ts";

/** Results and readiness are as `sys/socket.ts` and epoll have them. */
export interface Transport {
  /** Whether the other end is in this thread. */
  readonly inProcess: boolean;
  /** Tells the watcher, from now on, when `events` are to be had. */
  watch(loop: EventLoop, events: number, watcher: Watcher): void;
  change(loop: EventLoop, events: number): void;
  unwatch(loop: EventLoop): void;
  read(buffer: Uint8Array<ArrayBuffer>, pointer: Deno.PointerValue, offset: number, size: number): number;
  write(buffer: Uint8Array<ArrayBuffer>, pointer: Deno.PointerValue, offset: number, size: number): number;
  /** Acknowledges what has come without delay, where there is one. */
  acknowledgeNow(): void;
  /** No more will be sent; the peer reads an end of stream. */
  shutdownWrite(): void;
  close(): void;
  /** Closes so that the peer learns of a break, not of an end. */
  reset(): void;
}
