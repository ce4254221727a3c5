import type { Answer } from "./http_client.ts";

export interface LoadResult {
  requests: number;
  /** What each request that was not answered 200 got instead; empty: none was dropped. */
  failures: string[];
}

/** Failures whose text is kept; one is enough to fail, more to see what they have in common. */
const kept = 1_000;

/** Requests one after the other, on several connections, until it is stopped. */
export class Load implements AsyncDisposable {
  private running = true;
  private requests = 0;
  private readonly failures: string[] = [];
  private readonly done: Promise<unknown>;

  /** @param send One request; it is called again as soon as it has answered. */
  constructor(send: () => Promise<Answer>, concurrency = 4) {
    this.done = Promise.all(Array.from({ length: concurrency }, async () => {
      while (this.running) await this.one(send);
    }));
  }

  async stop(): Promise<LoadResult> {
    this.running = false;
    await this.done;
    return { requests: this.requests, failures: this.failures };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }

  private fail(why: string): void {
    if (this.failures.length < kept) this.failures.push(why);
  }

  private async one(send: () => Promise<Answer>): Promise<void> {
    try {
      const { status, body } = await send();
      if (status !== 200) this.fail(`${status} ${body.slice(0, 120)}`);
    } catch (error) {
      this.fail(error instanceof Error ? error.message : String(error));
    }
    this.requests++;
  }
}
