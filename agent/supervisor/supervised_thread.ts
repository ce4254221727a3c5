/** One data thread and its successors: started, spoken to, and started again when it crashes. */
import { setTimeout as delay } from "node:timers/promises";
import { closeDescriptor, libc, sendAll, socketpair } from "../sys/libc.ts";
import { logger } from "../../log/log.ts";
import type { DataThreadMessage, DataThreadStart } from "../config/model.ts";

const log = logger("data-thread");
const encoder = new TextEncoder();

/** Back-off between restarts: doubled each time, forgotten after a thread has lived for `healthyAfter`. */
const restart = { first: 100, max: 10_000, healthyAfter: 60_000 };

/** `terminate()` returns before the thread has ended; its end of the channel must outlive its last system call. */
const terminationGrace = 100;
const SHUT_RDWR = 2;

export interface ThreadOwner {
  /** What a new thread needs; called for every start of the thread with this index. */
  prepare(index: number): Omit<DataThreadStart, "kind" | "index" | "controlDescriptor">;
  /** Control messages, as JSON, that bring a new thread up to date. */
  replay(): { id: number; json: string }[];
  series(index: number, message: DataThreadMessage & { kind: "series" }): void;
  /** Requests are for a host of a cluster that takes hosts from requests. */
  resolve(message: DataThreadMessage & { kind: "resolve" }): void;
  /** Called once per crash, before the restart. */
  crashed(index: number): void;
}

/** A data thread ended on its own before it was ready. */
export class DataThreadError extends Error {
  override readonly name = "DataThreadError";
}

export class SupervisedThread {
  /** Answers that are still to come, by message id. */
  readonly #awaited = new Map<number, (errors: string[]) => void>();
  readonly #drained = Promise.withResolvers<void>();
  readonly #firstStart = Promise.withResolvers<void>();
  #incarnation: Incarnation | null = null;
  #everStarted = false;
  #stopping = false;
  #startedAt = 0;
  #delay: number = restart.first;
  #restartTimer: ReturnType<typeof setTimeout> | undefined;

  constructor(readonly index: number, readonly owner: ThreadOwner, readonly module: URL) {
    this.#drained.promise.catch(() => {});
    this.#firstStart.promise.catch(() => {});
    this.#start();
  }

  /** Resolves when the thread runs for the first time; rejects with {@link DataThreadError} when it cannot. */
  get started(): Promise<void> {
    return this.#firstStart.promise;
  }

  /** Resolves when the thread has said that its last request is done, or has ended. */
  get drained(): Promise<void> {
    return this.#drained.promise;
  }

  /**
   * Sends one message after all earlier ones. Resolves with the thread's errors when it has applied it; when the
   * thread crashes meanwhile, with none, once its successor has been told the whole state.
   */
  deliver(id: number, json: string): Promise<string[]> {
    if (this.#stopping) return Promise.resolve([]);
    const { promise, resolve } = Promise.withResolvers<string[]>();
    this.#awaited.set(id, resolve);
    this.#incarnation?.send(json);
    return promise;
  }

  /** Says that the thread's end is wanted: it is not started again. */
  expectEnd(): void {
    this.#stopping = true;
    clearTimeout(this.#restartTimer);
    if (this.#incarnation === null) this.#drained.resolve();
  }

  /** Ends the thread at once and frees what it held. */
  async stop(): Promise<void> {
    this.expectEnd();
    await this.#incarnation?.close();
    this.#incarnation = null;
    this.#settle(this.#awaited.keys(), []);
    this.#drained.resolve();
  }

  #start(): void {
    this.#startedAt = performance.now();
    const incarnation = new Incarnation(
      this.module,
      { index: this.index, ...this.owner.prepare(this.index) },
      (message) => this.#receive(message),
      (reason) => this.#crash(incarnation, reason),
    );
    this.#incarnation = incarnation;
    const lost = [...this.#awaited.keys()];
    const replay = this.owner.replay();
    const answers = replay.map(({ id, json }) => {
      const { promise, resolve } = Promise.withResolvers<string[]>();
      this.#awaited.set(id, resolve);
      incarnation.send(json);
      return promise;
    });
    // Never rejects; those who wait for it are in `lost`.
    void Promise.all(answers).then((errors) => {
      for (const error of errors.flat()) log.error(error, { thread: this.index });
      this.#settle(lost, []);
    });
  }

  #settle(ids: Iterable<number>, errors: string[]): void {
    for (const id of [...ids]) {
      this.#awaited.get(id)?.(errors);
      this.#awaited.delete(id);
    }
  }

  #receive(message: DataThreadMessage): void {
    switch (message.kind) {
      case "started":
        this.#everStarted = true;
        this.#firstStart.resolve();
        return;
      case "applied":
        this.#settle([message.id], message.errors);
        return;
      case "series":
        this.owner.series(this.index, message);
        return;
      case "resolve":
        this.owner.resolve(message);
        return;
      case "log":
        log[message.level](message.message, { ...message.fields, thread: this.index });
        return;
      case "drained":
        this.#drained.resolve();
        return;
    }
  }

  #crash(incarnation: Incarnation, reason: string): void {
    if (this.#incarnation !== incarnation) return;
    this.#incarnation = null;
    this.owner.crashed(this.index);
    // Its descriptors close in the background; nothing waits for a dead thread.
    void incarnation.close();
    if (this.#stopping || !this.#everStarted) {
      this.#firstStart.reject(new DataThreadError(`data thread ${this.index} could not start: ${reason}`));
      this.#settle(this.#awaited.keys(), []);
      this.#drained.resolve();
      return;
    }
    if (performance.now() - this.#startedAt > restart.healthyAfter) this.#delay = restart.first;
    log.error("data thread crashed; it is started again", { thread: this.index, reason, inMs: this.#delay });
    this.#restartTimer = setTimeout(() => this.#start(), this.#delay);
    this.#delay = Math.min(this.#delay * 2, restart.max);
  }
}

/** One Web Worker with its control channel. */
class Incarnation {
  readonly #worker: Worker;
  readonly #ours: number;
  readonly #theirs: number;
  readonly #queue: Uint8Array[] = [];
  #sending: Promise<void> | null = null;
  #closed: Promise<void> | null = null;

  constructor(
    module: URL,
    start: Omit<DataThreadStart, "kind" | "controlDescriptor">,
    receive: (message: DataThreadMessage) => void,
    crash: (reason: string) => void,
  ) {
    [this.#ours, this.#theirs] = socketpair();
    this.#worker = new Worker(module, { type: "module", name: `data-${start.index}` });
    this.#worker.onmessage = (event: MessageEvent<DataThreadMessage>) => {
      if (this.#closed === null) receive(event.data);
    };
    this.#worker.onerror = (event) => {
      event.preventDefault();
      crash(event.message);
    };
    const message: DataThreadStart = { kind: "start", controlDescriptor: this.#theirs, ...start };
    this.#worker.postMessage(message);
  }

  send(json: string): void {
    const body = encoder.encode(json);
    const frame = new Uint8Array(4 + body.length);
    new DataView(frame.buffer).setUint32(0, body.length, true);
    frame.set(body, 4);
    this.#queue.push(frame);
    this.#sending ??= this.#drainQueue();
  }

  /** Terminates the worker; the descriptors are closed only when nobody can be using them any more. */
  close(): Promise<void> {
    this.#closed ??= (async () => {
      this.#queue.length = 0;
      this.#worker.terminate();
      // Wakes the thread if it waits for events, and a send that waits for room in the channel.
      libc.shutdown(this.#ours, SHUT_RDWR);
      await this.#sending;
      closeDescriptor(this.#ours);
      await delay(terminationGrace);
      closeDescriptor(this.#theirs);
    })();
    return this.#closed;
  }

  async #drainQueue(): Promise<void> {
    try {
      for (let frame = this.#queue.shift(); frame !== undefined; frame = this.#queue.shift()) {
        await sendAll(this.#ours, frame);
      }
    } catch (error) {
      // The thread has ended; its `error` event tells why, and a successor is told everything anew.
      if (this.#closed === null) log.warn("control channel broke", { reason: String(error) });
      this.#queue.length = 0;
    }
    this.#sending = null;
  }
}
