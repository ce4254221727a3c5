/** Gathers bursts of changes into one run. */

export interface DebounceOptions {
  /** Milliseconds without a change after which the run starts. */
  quiet: number;
  /** Milliseconds after the first change at which it starts though changes go on. */
  longest: number;
  run(): Promise<void>;
}

export class Debounce {
  readonly #options: DebounceOptions;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #first: number | null = null;
  #running = false;
  #run = Promise.resolve();
  #closed = false;

  constructor(options: DebounceOptions) {
    this.#options = options;
  }

  /** Something changed; a run begins after it. */
  changed(): void {
    if (this.#closed) return;
    const now = performance.now();
    this.#first ??= now;
    if (this.#running) return;
    clearTimeout(this.#timer);
    const { quiet, longest } = this.#options;
    this.#timer = setTimeout(() => this.#start(), Math.max(0, Math.min(quiet, this.#first + longest - now)));
  }

  /** Waits for the run in progress, and starts no other. */
  async close(): Promise<void> {
    this.#closed = true;
    clearTimeout(this.#timer);
    await this.#run;
  }

  #start(): void {
    this.#first = null;
    this.#running = true;
    this.#run = this.#options.run().finally(() => {
      this.#running = false;
      // What changed during the run has to be run for once more.
      if (this.#first !== null) this.changed();
    });
  }
}
