/** A caller on a workload's machine: every request goes through that workload's HTTP proxy address. */

export interface Answer {
  status: number;
  headers: Headers;
  body: string;
  milliseconds: number;
}

export class HttpClient implements Disposable {
  private readonly client: Deno.HttpClient | undefined;

  /** @param proxy `http://ADDRESS:PORT`; null: straight to the host that the URL names. */
  constructor(proxy: string | null) {
    this.client = Deno.createHttpClient(proxy === null ? {} : { proxy: { url: proxy } });
  }

  async get(url: string, headers: Record<string, string> = {}): Promise<Answer> {
    const start = performance.now();
    const response = await fetch(url, {
      client: this.client,
      headers,
      redirect: "manual",
      signal: AbortSignal.timeout(20_000),
    });
    const body = await response.text();
    return { status: response.status, headers: response.headers, body, milliseconds: performance.now() - start };
  }

  /** Sends `count` requests, `concurrency` at a time; answers come in no particular order. */
  async many(
    count: number,
    url: string,
    headers: Record<string, string> = {},
    concurrency = 8,
  ): Promise<Answer[]> {
    const answers: Answer[] = [];
    let left = count;
    await Promise.all(Array.from({ length: concurrency }, async () => {
      while (left-- > 0) answers.push(await this.get(url, headers));
    }));
    return answers;
  }

  [Symbol.dispose](): void {
    this.client?.close();
  }
}

/** `200 × 17, 503 × 3`: how often each value came. */
export function tally(values: (string | number)[]): string {
  const counts = new Map<string | number, number>();
  for (const value of values) counts.set(value, (counts.get(value) ?? 0) + 1);
  return [...counts].map(([value, count]) => `${value} × ${count}`).join(", ");
}
