/**
 * The deadlines of one request on its way to the upstream
 * (https://www.envoyproxy.io/docs/envoy/latest/faq/configuration/timeouts). Times in milliseconds, 0: none.
 */
import type { EventLoop } from "./worker/event_loop.ts";
import { Timer } from "./worker/timer_wheel.ts";

export class Deadlines {
  /** The route's timeout. */
  readonly #overall: Timer;
  /** A fault's delay, then back-off or the attempt's own timeout: never two of them at once. */
  readonly #step: Timer;
  #onStep: () => void = nothing;

  /**
   * @param onTimeout the request has taken too long
   * @param onTryTimeout the present attempt has
   */
  constructor(
    private readonly loop: EventLoop,
    onTimeout: () => void,
    private readonly onTryTimeout: () => void,
  ) {
    this.#overall = new Timer(onTimeout);
    this.#step = new Timer(() => this.#onStep());
  }

  /** The request has been received whole: from here on its response has this much time. */
  requestReceived(timeout: number): void {
    if (timeout > 0 && !this.#overall.armed) this.loop.setTimer(this.#overall, timeout);
  }

  /** The request has been sent whole: from here on the attempt has this much time. */
  attemptSent(timeout: number): void {
    if (timeout > 0) this.pause(timeout, this.onTryTimeout);
  }

  /** Waits, then calls `next`. */
  pause(delay: number, next: () => void): void {
    this.#onStep = next;
    this.loop.setTimer(this.#step, delay);
  }

  /** The attempt has led to a response. */
  responseStarted(): void {
    this.loop.clearTimer(this.#step);
  }

  /** Another protocol is spoken from here on, for however long. */
  tunnelStarted(): void {
    this.loop.clearTimer(this.#overall);
  }

  /** The request is over: ready for the next one. */
  finish(): void {
    this.loop.clearTimer(this.#overall);
    this.loop.clearTimer(this.#step);
    this.#onStep = nothing;
  }
}

function nothing(): void {}
