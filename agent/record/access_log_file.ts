/** Access log files of a data thread: lines are gathered and appended with one write(2), so that threads can share a file. */
import { appendDescriptor, closeDescriptor, writeAll } from "../sys/libc.ts";
import type { EventLoop } from "../worker/event_loop.ts";
import { Timer } from "../worker/timer_wheel.ts";

/** Lines wait this long for company, in milliseconds … */
const flushDelay = 100;
/** … or until this much text has gathered. */
const flushSize = 16 * 1024;

class AccessLogFile {
  #descriptor = -1;
  #pending = "";
  #failed = false;
  readonly #timer: Timer;

  constructor(readonly path: string, private readonly loop: EventLoop, private readonly warn: (text: string) => void) {
    this.#timer = new Timer(() => this.flush());
  }

  write(line: string): void {
    this.#pending += line;
    if (this.#pending.length >= flushSize) this.flush();
    else if (!this.#timer.armed) this.loop.setTimer(this.#timer, flushDelay);
  }

  flush(): void {
    this.loop.clearTimer(this.#timer);
    const text = this.#pending;
    this.#pending = "";
    if (text === "") return;
    if (this.#descriptor < 0) this.#descriptor = appendDescriptor(this.path);
    const written = this.#descriptor >= 0 && writeAll(this.#descriptor, new TextEncoder().encode(text));
    if (!written && !this.#failed) this.warn(`cannot write the access log ${this.path}`);
    this.#failed = !written;
    if (!written) this.close();
  }

  close(): void {
    if (this.#descriptor >= 0) closeDescriptor(this.#descriptor);
    this.#descriptor = -1;
  }
}

export class AccessLogFiles {
  readonly #files = new Map<string, AccessLogFile>();

  constructor(private readonly loop: EventLoop, private readonly warn: (text: string) => void) {}

  write(path: string, line: string): void {
    if (line === "") return;
    let file = this.#files.get(path);
    if (file === undefined) this.#files.set(path, file = new AccessLogFile(path, this.loop, this.warn));
    file.write(line);
  }

  flush(): void {
    for (const file of this.#files.values()) file.flush();
  }
}
