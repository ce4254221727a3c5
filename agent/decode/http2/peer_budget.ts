/** What a peer may do that costs us and brings it nothing: counted here, each kind against its limit. */
import { Limit } from "./protocol.ts";

/** A stream that the peer gives up earlier than this has brought nothing but work (milliseconds). */
const prematureAge = 1000;

export class PeerBudget {
  #emptyFrames = 0;
  #queuedReplies = 0;
  #prematureResets = 0;
  #finishedStreams = 0;

  /** Counts a frame; false: empty ones have come in a row. One is borne, more only cost us. */
  admitFrame(empty: boolean): boolean {
    this.#emptyFrames = empty ? this.#emptyFrames + 1 : 0;
    return this.#emptyFrames <= 1;
  }

  /** Counts an answer to a control frame; false: too many wait for a peer that does not read them. */
  admitReply(): boolean {
    return ++this.#queuedReplies <= Limit.queuedReplies;
  }

  /** The answers that waited have gone out. */
  repliesSent(): void {
    this.#queuedReplies = 0;
  }

  streamFinished(): void {
    this.#finishedStreams++;
  }

  /**
   * Counts a stream that ended before its answer, at this age (milliseconds); false: there have been too many. They cost
   * more than they bring (CVE-2023-44487 and its kin).
   */
  admitReset(age: number): boolean {
    if (age > prematureAge) return true;
    return ++this.#prematureResets <= Limit.prematureResets + this.#finishedStreams;
  }
}
