/** Timers and `performance.now()` under a test's control, until it is disposed of. */
export class FakeTime implements Disposable {
  readonly #timers = new Map<number, { at: number; run: () => void }>();
  readonly #real = { setTimeout: globalThis.setTimeout, clearTimeout: globalThis.clearTimeout, now: performance.now };
  #now = 0;
  #next = 1;

  constructor() {
    const fakes = {
      setTimeout: (run: () => void, delay = 0) => {
        this.#timers.set(this.#next, { at: this.#now + delay, run });
        return this.#next++;
      },
      clearTimeout: (timer: number | undefined) => this.#timers.delete(timer ?? 0),
    };
    Object.assign(globalThis, fakes);
    performance.now = () => this.#now;
  }

  /** Lets so many milliseconds pass, with all that falls due in them. */
  async tick(milliseconds: number): Promise<void> {
    const end = this.#now + milliseconds;
    await settle();
    while (true) {
      const due = [...this.#timers].filter(([, { at }]) =>
        at <= end
      ).sort(([, one], [, other]) => one.at - other.at)[0];
      if (due === undefined) break;
      const [id, { at, run }] = due;
      this.#timers.delete(id);
      this.#now = at;
      run();
      await settle();
    }
    this.#now = end;
  }

  [Symbol.dispose](): void {
    Object.assign(globalThis, { setTimeout: this.#real.setTimeout, clearTimeout: this.#real.clearTimeout });
    performance.now = this.#real.now;
  }
}

/** Promises that follow from each other need some turns. */
async function settle(): Promise<void> {
  for (let i = 0; i < 20; i++) await Promise.resolve();
}
