/**
 * The deadlines of one request on its way through the proxy
 * (https://www.envoyproxy.io/docs/envoy/latest/faq/configuration/timeouts). Times in milliseconds, 0: none.
 */
import type { EventLoop } from "./worker/event_loop.ts";
import { Timer } from "./worker/timer_wheel.ts";

/** Hears which deadline has passed. */
export interface DeadlineOwner {
  /** The request has not been received whole in time. */
  onRequestTimeout(): void;
  /** The route's timeout. */
  onTimeout(): void;
  /** The present attempt's. */
  onTryTimeout(): void;
  /** The longest that a request may take from its head to the end of its response. */
  onStreamDuration(): void;
  /** The longest that an attempt may take. */
  onUpstreamDuration(): void;
}

export class Deadlines {
  readonly #request: Timer;
  readonly #overall: Timer;
  /** A fault's delay, then back-off or the attempt's own timeout: never two of them at once. */
  readonly #step: Timer;
  readonly #stream: Timer;
  readonly #upstream: Timer;
  #onStep: () => void = nothing;
  readonly #onTryTimeout: () => void;
  #receivedAt = -1;

  constructor(private readonly loop: EventLoop, owner: DeadlineOwner) {
    this.#request = new Timer(() => owner.onRequestTimeout());
    this.#overall = new Timer(() => owner.onTimeout());
    this.#step = new Timer(() => this.#onStep());
    this.#stream = new Timer(() => owner.onStreamDuration());
    this.#upstream = new Timer(() => owner.onUpstreamDuration());
    this.#onTryTimeout = () => owner.onTryTimeout();
  }

  /** The head has been received: the rest of the request has this much time. */
  headReceived(timeout: number): void {
    this.loop.setTimer(this.#request, timeout);
  }

  /** The rest of the request has come. */
  bodyReceived(): void {
    this.loop.clearTimer(this.#request);
  }

  /** The request and its response together have this much time. */
  limitDuration(duration: number): void {
    this.loop.setTimer(this.#stream, duration);
  }

  /** The request has been received whole and goes on: from here on its response has this much time. */
  requestReceived(timeout: number): void {
    if (this.#receivedAt >= 0) return;
    this.#receivedAt = this.loop.now;
    if (timeout > 0) this.loop.setTimer(this.#overall, timeout);
  }

  /** Since {@link requestReceived}. */
  get elapsed(): number {
    return this.#receivedAt < 0 ? 0 : this.loop.now - this.#receivedAt;
  }

  /** The attempt has a connection, and this much time. */
  attemptStarted(duration: number): void {
    if (duration > 0) this.loop.setTimer(this.#upstream, duration);
  }

  /** The request has been sent whole: from here on the attempt's response has this much time to begin. */
  attemptSent(timeout: number): void {
    if (timeout > 0) this.pause(timeout, this.#onTryTimeout);
  }

  /** The attempt is over. */
  attemptEnded(): void {
    this.loop.clearTimer(this.#upstream);
  }

  /** Waits, then calls `next`. */
  pause(delay: number, next: () => void): void {
    this.#onStep = next;
    this.loop.setTimer(this.#step, delay);
  }

  /** What {@link pause} waits for has come. */
  endPause(): void {
    this.loop.clearTimer(this.#step);
  }

  /** The attempt has led to a response. */
  responseStarted(): void {
    this.endPause();
  }

  /** Another protocol is spoken from here on, for as long as the two sides like. */
  tunnelStarted(): void {
    this.loop.clearTimer(this.#overall);
  }

  /** The request is over: ready for the next one. */
  finish(): void {
    this.loop.clearTimer(this.#request);
    this.loop.clearTimer(this.#overall);
    this.loop.clearTimer(this.#step);
    this.loop.clearTimer(this.#stream);
    this.loop.clearTimer(this.#upstream);
    this.#onStep = nothing;
    this.#receivedAt = -1;
  }
}

function nothing(): void {}
