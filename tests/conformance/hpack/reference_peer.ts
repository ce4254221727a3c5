/** The PyPI package `hpack` as another HPACK implementation, installed into a folder of its own. */
const version = "4.2.0";

export interface Answer {
  block?: string;
  fields?: [string, string][];
  error?: string;
}

/** A process that answers commands; see reference_peer.py. Disposed of, it is gone with its folder. */
export class ReferencePeer implements AsyncDisposable {
  readonly #process: Deno.ChildProcess;
  readonly #folder: string;
  readonly #writer: WritableStreamDefaultWriter<Uint8Array>;
  readonly #lines: ReadableStreamDefaultReader<string>;
  #rest = "";

  constructor(process: Deno.ChildProcess, folder: string) {
    this.#process = process;
    this.#folder = folder;
    this.#writer = process.stdin.getWriter();
    this.#lines = process.stdout.pipeThrough(new TextDecoderStream()).getReader();
  }

  /** Sends commands together and returns their answers. */
  async ask(commands: readonly unknown[]): Promise<Answer[]> {
    const text = commands.map((command) => JSON.stringify(command) + "\n").join("");
    const [, answers] = await Promise.all([
      this.#writer.write(new TextEncoder().encode(text)),
      this.#read(commands.length),
    ]);
    return answers;
  }

  async #read(count: number): Promise<Answer[]> {
    const answers: Answer[] = [];
    while (answers.length < count) {
      const end = this.#rest.indexOf("\n");
      if (end >= 0) {
        answers.push(JSON.parse(this.#rest.slice(0, end)));
        this.#rest = this.#rest.slice(end + 1);
        continue;
      }
      const { value, done } = await this.#lines.read();
      if (done) throw new Error("reference_peer.py has ended before it answered: its error stands above");
      this.#rest += value;
    }
    return answers;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#writer.close();
    await this.#lines.cancel();
    await this.#process.status;
    await Deno.remove(this.#folder, { recursive: true });
  }
}

/** Starts the peer. Where Python or PyPI is not at hand, returns the reason instead. */
export async function startReferencePeer(): Promise<ReferencePeer | string> {
  const folder = await Deno.makeTempDir({ prefix: "hpack-reference-" });
  const reason = await failure("python3", [
    ...["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--retries", "1", "--timeout", "10"],
    ...["--target", folder, `hpack==${version}`],
  ]);
  if (reason !== null) {
    await Deno.remove(folder, { recursive: true });
    return reason;
  }
  const script = new URL("reference_peer.py", import.meta.url).pathname;
  const process = new Deno.Command("python3", {
    args: [script],
    env: { PYTHONPATH: folder },
    stdin: "piped",
    stdout: "piped",
  }).spawn();
  return new ReferencePeer(process, folder);
}

async function failure(program: string, args: string[]): Promise<string | null> {
  const command = `${program} ${args.join(" ")}`;
  try {
    const { success, stderr } = await new Deno.Command(program, { args, stdout: "null" }).output();
    return success ? null : `${command}: ${new TextDecoder().decode(stderr).trim().split("\n").at(-1)}`;
  } catch (error) {
    return `${command}: ${(error as Error).message}`;
  }
}
