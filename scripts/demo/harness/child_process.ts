/** A child process with its output collected: started, waited for, signalled and reaped by its own handle. */

const kept = 2_000;

export class ChildProcess {
  readonly pid: number;
  /** Exit code, or 128 + the signal's number; settled when the process has ended and its output is read. */
  readonly ended: Promise<number>;
  private readonly process: Deno.ChildProcess;
  private readonly lines: string[] = [];
  private readonly stdoutLines: string[] = [];
  private readonly stderrLines: string[] = [];
  private waiting: (() => void)[] = [];
  private exitCode: number | null = null;

  /** @param name What messages call it. */
  constructor(readonly name: string, command: string, args: string[], environment: Record<string, string> = {}) {
    this.process = new Deno.Command(command, {
      args,
      env: environment,
      stdin: "null",
      stdout: "piped",
      stderr: "piped",
    }).spawn();
    this.pid = this.process.pid;
    this.ended = Promise.all([
      this.process.status,
      this.collect(this.process.stdout, this.stdoutLines),
      this.collect(this.process.stderr, this.stderrLines),
    ]).then(([status]) => {
      this.exitCode = status.code;
      this.wake();
      return status.code;
    });
  }

  get running(): boolean {
    return this.exitCode === null;
  }

  /** For messages. */
  get state(): string {
    return this.exitCode === null ? "(running)" : `(ended: ${this.exitCode})`;
  }

  /** Both outputs, as lines in the order of arrival; the oldest are dropped. */
  output(): string {
    return this.lines.join("\n");
  }

  stdout(): string {
    return this.stdoutLines.join("\n");
  }

  /** @throws {Error} with the last output when the process ends, or time is over, before a line matches. */
  async line(pattern: RegExp, timeout = 20_000): Promise<string> {
    const deadline = Date.now() + timeout;
    while (true) {
      const found = this.lines.find((line) => pattern.test(line));
      if (found !== undefined) return found;
      if (!this.running) throw new Error(`${this.name} ended (${this.exitCode}) before ${pattern}: ${this.tail()}`);
      if (Date.now() >= deadline) throw new Error(`${this.name}: no ${pattern} within ${timeout} ms: ${this.tail()}`);
      await this.news(deadline - Date.now());
    }
  }

  signal(signal: Deno.Signal): void {
    if (this.running) this.process.kill(signal);
  }

  /** SIGTERM, and SIGKILL when it has not ended after `patience` milliseconds. @returns the exit code. */
  async stop(patience = 5_000): Promise<number> {
    this.signal("SIGTERM");
    const timer = setTimeout(() => this.signal("SIGKILL"), patience);
    const code = await this.ended;
    clearTimeout(timer);
    return code;
  }

  async kill(): Promise<void> {
    this.signal("SIGKILL");
    await this.ended;
  }

  /** The last lines of stderr, for messages. */
  tail(count = 12): string {
    return this.stderrLines.length === 0 ? "(no output)" : "\n    " + this.stderrLines.slice(-count).join("\n    ");
  }

  private async collect(stream: ReadableStream<Uint8Array>, own: string[]): Promise<void> {
    let rest = "";
    for await (const text of stream.pipeThrough(new TextDecoderStream() as ReadableWritablePair<string, Uint8Array>)) {
      const parts = (rest + text).split("\n");
      rest = parts.pop() ?? "";
      this.take(parts, own);
    }
    if (rest !== "") this.take([rest], own);
  }

  private take(lines: string[], own: string[]): void {
    for (const into of [this.lines, own]) {
      into.push(...lines);
      if (into.length > 2 * kept) into.splice(0, into.length - kept);
    }
    this.wake();
  }

  private wake(): void {
    const waiting = this.waiting;
    this.waiting = [];
    for (const wake of waiting) wake();
  }

  private async news(timeout: number): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.waiting.push(resolve);
    const timer = setTimeout(resolve, timeout);
    await promise;
    clearTimeout(timer);
  }
}
