/**
 * Responses of one type on one stream, and their answers.
 *
 * At most one response waits for its answer. What changes meanwhile goes into the next one, so that a slow client
 * costs no queue and always gets the newest state.
 */

export interface SubscriptionStatus {
  status: "SYNCED" | "STALE" | "NACK" | "NOT SENT";
  /** Version of what the client has taken; empty: nothing yet. */
  acknowledged: string;
  sent: string;
  reason?: string;
  /** RFC 3339. */
  staleSince?: string;
}

export class Delivery {
  #outstanding: { nonce: string; version: string } | null = null;
  #begun = false;
  #acknowledged = "";
  #sent = "";
  #rejected: { version: string; reason: string } | null = null;
  #staleSince: number | null = null;

  /** Something has been sent. */
  get begun(): boolean {
    return this.#begun;
  }

  get waiting(): boolean {
    return this.#outstanding !== null;
  }

  /** Version that the client refused last, until it takes another. */
  get rejected(): string | null {
    return this.#rejected?.version ?? null;
  }

  sent(nonce: string, version: string, now: number): void {
    this.#outstanding = { nonce, version };
    this.#begun = true;
    this.#sent = version;
    this.#staleSince ??= now;
  }

  /** @returns milliseconds since the client lacked something; `null` for an answer that is not to what was sent last */
  acknowledge(nonce: string, now: number): number | null {
    if (this.#outstanding?.nonce !== nonce) return null;
    this.#acknowledged = this.#outstanding.version;
    const since = this.#staleSince ?? now;
    this.#staleSince = this.#outstanding = this.#rejected = null;
    return now - since;
  }

  /** @returns false for an answer that is not to what was sent last */
  reject(nonce: string, reason: string): boolean {
    if (this.#outstanding?.nonce !== nonce) return false;
    this.#rejected = { version: this.#outstanding.version, reason };
    this.#outstanding = null;
    return true;
  }

  /** The change that the client refused has been taken back. */
  withdrawn(): void {
    if (this.#rejected !== null) this.#staleSince = this.#rejected = null;
  }

  status(): SubscriptionStatus {
    const staleSince = this.#staleSince === null ? undefined : new Date(this.#staleSince).toISOString();
    const common = { acknowledged: this.#acknowledged, sent: this.#sent, staleSince };
    if (this.#rejected !== null) return { status: "NACK", ...common, reason: this.#rejected.reason };
    if (!this.#begun) return { status: "NOT SENT", ...common };
    return { status: this.waiting ? "STALE" : "SYNCED", ...common };
  }
}
