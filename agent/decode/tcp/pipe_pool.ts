/** Empty pipes of a data thread, kept for the next relay that moves much at once. */
import { Pipe } from "../../sys/pipe.ts";

/** Each is two descriptors, and no memory while it is empty. */
const kept = 64;

export class PipePool {
  readonly #free: Pipe[] = [];

  /** An empty pipe, or `null` when no descriptors are left. */
  take(): Pipe | null {
    return this.#free.pop() ?? Pipe.open();
  }

  /** Takes a pipe back. One that is not empty holds bytes of a connection that is gone, and goes with them. */
  give(pipe: Pipe): void {
    if (pipe.length === 0 && this.#free.length < kept) this.#free.push(pipe);
    else pipe.close();
  }

  close(): void {
    for (const pipe of this.#free.splice(0)) pipe.close();
  }
}
