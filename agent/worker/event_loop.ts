/**
 * The loop of a data thread: waits for readiness, hands each event to the owner of its descriptor, flushes what the
 * event made ready to send, fires deadlines.
 */
import { Epoll } from "../sys/epoll.ts";
import { type Timer, TimerWheel } from "./timer_wheel.ts";

/** How many turns in a row work that has been put off may wait for further events. */
const gatheringTurns = 3;
/** How often in a turn connections within the process may answer each other before sockets are asked again. */
const roundsPerTurn = 16;

/** The owner of a descriptor in the epoll set. */
export interface Watcher {
  /** @param events bits of EPOLLIN, EPOLLOUT, EPOLLERR, EPOLLHUP. */
  onEvents(events: number): void;
  /** {@link onEvents} has thrown: gives up the descriptor, which would otherwise raise the same event for ever. */
  abandon(): void;
}

/** Something with work to do once the current event has been handled: output to flush, input to go on with. */
export interface Deferred {
  /** True while it stands in the loop's list. */
  deferred: boolean;
  runDeferred(): void;
  /** {@link runDeferred} has thrown. */
  abandon(): void;
}

export class EventLoop {
  /** Milliseconds on a monotonic clock, read once per turn. */
  now: number;
  readonly timers: TimerWheel;
  readonly #epoll = new Epoll();
  readonly #watchers: (Watcher | null)[] = [];
  readonly #deferred: Deferred[] = [];
  /** How many of {@link #deferred} count: the array keeps its memory. */
  #deferredCount = 0;
  readonly #atTurnEnd: Deferred[] = [];
  #atTurnEndCount = 0;
  readonly #inProcess: Deferred[] = [];
  #inProcessCount = 0;
  #running = true;

  constructor(private readonly onFault: (error: unknown) => void) {
    this.now = performance.now();
    this.timers = new TimerWheel(this.now, onFault);
  }

  /** Registers the owner of a descriptor; one that has an owner already passes on to the new one. */
  watch(descriptor: number, events: number, watcher: Watcher): void {
    const before = this.#watchers[descriptor] ?? null;
    this.#watchers[descriptor] = watcher;
    if (before === null) this.#epoll.add(descriptor, events);
    else this.#epoll.modify(descriptor, events);
  }

  change(descriptor: number, events: number): void {
    this.#epoll.modify(descriptor, events);
  }

  /** Must precede the closing of a descriptor, so that its number can mean another connection. */
  unwatch(descriptor: number): void {
    this.#watchers[descriptor] = null;
    this.#epoll.remove(descriptor);
  }

  /** Runs `work` after the current event, once however often it is asked for. */
  defer(work: Deferred): void {
    if (work.deferred) return;
    work.deferred = true;
    this.#deferred[this.#deferredCount++] = work;
  }

  setTimer(timer: Timer, delay: number): void {
    this.timers.set(timer, this.now + delay);
  }

  clearTimer(timer: Timer): void {
    this.timers.clear(timer);
  }

  /** Runs `work` when all events have been handled that are there by then, and at the latest after a few turns. */
  deferToTurnEnd(work: Deferred): void {
    if (work.deferred) return;
    work.deferred = true;
    this.#atTurnEnd[this.#atTurnEndCount++] = work;
  }

  /** Runs `work`, of a connection within the process, when the events of this turn have been handled. */
  deferInProcess(work: Deferred): void {
    if (work.deferred) return;
    work.deferred = true;
    this.#inProcess[this.#inProcessCount++] = work;
  }

  stop(): void {
    this.#running = false;
  }

  run(): void {
    const epoll = this.#epoll;
    let gathered = 0;
    while (this.#running) {
      const hasWork = this.#atTurnEndCount > 0 || this.#inProcessCount > 0;
      const count = epoll.wait(hasWork ? 0 : this.timers.timeout(performance.now()));
      this.now = performance.now();
      this.timers.advance(this.now);
      this.#runDeferred();
      for (let i = 0; i < count; i++) {
        // A watcher that an earlier event of this turn removed gets nothing; a descriptor number that was closed and
        // reused within the turn gets at worst a spurious event, which every watcher bears.
        const watcher = this.#watchers[epoll.descriptorAt(i)];
        if (watcher === null || watcher === undefined) continue;
        try {
          watcher.onEvents(epoll.eventsAt(i));
        } catch (error) {
          this.onFault(error);
          this.#abandon(watcher);
        }
        this.#runDeferred();
      }
      for (let round = 0; round < roundsPerTurn && this.#inProcessCount > 0; round++) this.#runInProcess();
      // What comes in meanwhile may have more for the same write: a system call, a TLS record and a wake-up of the peer.
      if (this.#atTurnEndCount > 0 && count > 0 && this.#running && gathered++ < gatheringTurns) continue;
      gathered = 0;
      // Each may call for the other; what is left undone would wait for the next event.
      while (this.#atTurnEndCount > 0) {
        this.#runTurnEnd();
        this.#runDeferred();
      }
    }
  }

  /** To be called last: what is still watched cannot be unwatched any more. */
  close(): void {
    this.#epoll.close();
  }

  #abandon(owner: Watcher | Deferred): void {
    try {
      owner.abandon();
    } catch (error) {
      this.onFault(error);
    }
  }

  #runDeferred(): void {
    // Work may ask for more while it runs.
    for (let i = 0; i < this.#deferredCount; i++) this.#runOne(this.#deferred[i]);
    this.#deferredCount = 0;
  }

  #runTurnEnd(): void {
    for (let i = 0; i < this.#atTurnEndCount; i++) this.#runOne(this.#atTurnEnd[i]);
    this.#atTurnEndCount = 0;
  }

  #runInProcess(): void {
    const list = this.#inProcess;
    const count = this.#inProcessCount;
    for (let i = 0; i < count; i++) this.#runOne(list[i]);
    // What they have asked for is for the next round.
    this.#inProcessCount -= count;
    for (let i = 0; i < this.#inProcessCount; i++) list[i] = list[count + i];
    this.#runDeferred();
  }

  #runOne(work: Deferred): void {
    work.deferred = false;
    try {
      work.runDeferred();
    } catch (error) {
      this.onFault(error);
      this.#abandon(work);
    }
  }
}
