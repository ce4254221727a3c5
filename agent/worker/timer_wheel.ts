/**
 * Deadlines of one data thread: a hashed wheel of intrusive lists, so that setting and clearing a timer costs a few
 * writes and no allocation. One slot is one millisecond; later turns share slots.
 */

const slots = 4096;
const mask = slots - 1;

/** A deadline and what happens when it passes. Embedded in its owner and used again and again. */
export class Timer {
  /** Milliseconds on the loop's clock; meaningful while {@link armed}. */
  deadline = 0;
  next: Timer | null = null;
  previous: Timer | null = null;
  slot = 0;

  constructor(readonly fire: () => void) {}

  get armed(): boolean {
    return this.next !== null;
  }
}

export class TimerWheel {
  /** List heads: circular, a head that points to itself is empty. */
  readonly #heads: Timer[] = [];
  /** One bit per slot that holds a timer. */
  readonly #occupied = new Uint32Array(slots / 32);
  #tick: number;
  #count = 0;

  /** `onFault` hears what a timer throws; the others fire all the same. */
  constructor(now: number, private readonly onFault: (error: unknown) => void) {
    this.#tick = Math.floor(now);
    for (let i = 0; i < slots; i++) {
      const head = new Timer(unreachable);
      head.next = head.previous = head;
      this.#heads.push(head);
    }
  }

  /** Arms `timer` (again) for `deadline`, rounded up to a millisecond. */
  set(timer: Timer, deadline: number): void {
    if (timer.next !== null) this.clear(timer);
    timer.deadline = deadline;
    const tick = Math.max(Math.ceil(deadline), this.#tick + 1);
    const slot = tick & mask;
    const head = this.#heads[slot];
    timer.slot = slot;
    timer.previous = head.previous;
    timer.next = head;
    head.previous!.next = timer;
    head.previous = timer;
    this.#occupied[slot >> 5] |= 1 << (slot & 31);
    this.#count++;
  }

  clear(timer: Timer): void {
    if (timer.next === null) return;
    timer.previous!.next = timer.next;
    timer.next.previous = timer.previous;
    if (timer.next === timer.previous) this.#occupied[timer.slot >> 5] &= ~(1 << (timer.slot & 31));
    timer.next = timer.previous = null;
    this.#count--;
  }

  /** Fires what is due at `now`. */
  advance(now: number): void {
    const until = Math.floor(now);
    // After a long pause every slot is due once, no more.
    let tick = Math.max(this.#tick, until - slots);
    while (tick < until) {
      tick++;
      this.#tick = tick;
      const slot = tick & mask;
      if ((this.#occupied[slot >> 5] & (1 << (slot & 31))) !== 0) this.#expire(slot, now);
    }
    this.#tick = until;
  }

  #expire(slot: number, now: number): void {
    const head = this.#heads[slot];
    let timer = head.next!;
    while (timer !== head) {
      if (timer.deadline <= now) {
        this.clear(timer);
        try {
          timer.fire();
        } catch (error) {
          this.onFault(error);
        }
        // Firing may have changed the list in any way.
        timer = head.next!;
      } else timer = timer.next!;
    }
  }

  /** Milliseconds from `now` until the next slot with a timer, for `epoll_wait`; -1 when there is none. */
  timeout(now: number): number {
    if (this.#count === 0) return -1;
    const start = this.#tick + 1;
    for (let i = 0; i < slots; i += 32 - ((start + i) & 31)) {
      const slot = (start + i) & mask;
      const word = this.#occupied[slot >> 5] >>> (slot & 31);
      if (word !== 0) {
        const lowest = 31 - Math.clz32(word & -word);
        return Math.max(0, Math.ceil(start + i + lowest - now));
      }
    }
    return slots;
  }
}

function unreachable(): void {
  throw new Error("a list head never fires");
}
