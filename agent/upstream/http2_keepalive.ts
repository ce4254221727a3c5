/** PINGs that find out whether the host at the other end of an HTTP/2 connection is still there (Envoy's connection_keepalive). */
import type { Http2Keepalive } from "../config/model.ts";
import type { EventLoop } from "../worker/event_loop.ts";
import { Timer } from "../worker/timer_wheel.ts";

export interface KeepaliveOwner {
  ping(): void;
  /** No answer in time: nobody is there. */
  unanswered(): void;
}

export class Keepalive {
  readonly #timer: Timer;
  #awaitsAnswer = false;

  constructor(
    private readonly loop: EventLoop,
    private readonly config: Http2Keepalive,
    private readonly owner: KeepaliveOwner,
  ) {
    this.#timer = new Timer(() => this.#onTime());
    this.#rest();
  }

  /** The peer has answered a PING. */
  answered(): void {
    if (this.#awaitsAnswer) this.#rest();
  }

  stop(): void {
    this.loop.clearTimer(this.#timer);
  }

  #rest(): void {
    const { interval, jitterPercent } = this.config;
    this.#awaitsAnswer = false;
    this.loop.setTimer(this.#timer, interval + Math.random() * interval * jitterPercent / 100);
  }

  #onTime(): void {
    if (this.#awaitsAnswer) return this.owner.unanswered();
    this.#awaitsAnswer = true;
    this.loop.setTimer(this.#timer, this.config.timeout);
    this.owner.ping();
  }
}
