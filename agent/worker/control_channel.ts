/** The data thread's end of the control channel: length-prefixed JSON messages from the main thread. */
import type { ControlMessage } from "../config/model.ts";
import { EPOLLIN } from "../sys/epoll.ts";
import { END_OF_STREAM, FAILED, Socket, WOULD_BLOCK } from "../sys/socket.ts";
import { newSlab } from "../sys/slab.ts";
import type { EventLoop, Watcher } from "./event_loop.ts";

const readSize = 256 * 1024;

export class ControlChannel implements Watcher {
  readonly #socket: Socket;
  readonly #input = newSlab(readSize);
  #pending = new Uint8Array(0);

  constructor(
    private readonly loop: EventLoop,
    descriptor: number,
    private readonly onMessage: (message: ControlMessage) => void,
    private readonly onEnd: () => void,
  ) {
    this.#socket = new Socket(descriptor);
    loop.watch(descriptor, EPOLLIN, this);
  }

  onEvents(_events: number): void {
    for (;;) {
      const count = this.#socket.read(this.#input.bytes, this.#input.pointer, 0, readSize);
      if (count === WOULD_BLOCK) return;
      if (count === END_OF_STREAM || count === FAILED) {
        this.loop.unwatch(this.#socket.descriptor);
        return this.onEnd();
      }
      this.#take(this.#input.bytes.subarray(0, count));
    }
  }

  /** A message that could not be applied has been answered for; the channel goes on. */
  abandon(): void {}

  #take(bytes: Uint8Array): void {
    const joined = new Uint8Array(this.#pending.length + bytes.length);
    joined.set(this.#pending);
    joined.set(bytes, this.#pending.length);
    const view = new DataView(joined.buffer);
    let position = 0;
    while (joined.length - position >= 4) {
      const length = view.getUint32(position, true);
      if (joined.length - position - 4 < length) break;
      const text = new TextDecoder().decode(joined.subarray(position + 4, position + 4 + length));
      position += 4 + length;
      this.onMessage(JSON.parse(text));
    }
    this.#pending = joined.slice(position);
  }
}
