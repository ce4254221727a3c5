import assert from "node:assert/strict";
import { Backend } from "./harness.ts";
import { RawConnection, until } from "./raw_sockets.ts";

/** What a process may have open; the runtime alone takes some thirty. */
const descriptors = 160;

/** A data plane in a child that may have so few descriptors. */
class Child implements AsyncDisposable {
  readonly #process: Deno.ChildProcess;
  readonly #input: WritableStreamDefaultWriter<Uint8Array>;
  #output = "";
  port = 0;

  private constructor(backend: number) {
    const script = new URL("few_descriptors.ts", import.meta.url).pathname;
    this.#process = new Deno.Command("sh", {
      args: [
        "-c",
        `ulimit -n ${descriptors} && exec "$@"`,
        "sh",
        Deno.execPath(),
        "run",
        "-A",
        script,
        String(backend),
      ],
      env: { DENO_NO_UPDATE_CHECK: "1" },
      stdin: "piped",
      stdout: "piped",
      stderr: "null",
    }).spawn();
    this.#input = this.#process.stdin.getWriter();
    void this.#read();
  }

  static async start(backend: number): Promise<Child> {
    const child = new Child(backend);
    child.port = await child.#line();
    return child;
  }

  async #read(): Promise<void> {
    for await (const bytes of this.#process.stdout) this.#output += new TextDecoder().decode(bytes);
  }

  async #line(): Promise<number> {
    await until(() => this.#output.includes("\n"), "a line of the child");
    const [line, ...rest] = this.#output.split("\n");
    this.#output = rest.join("\n");
    return Number(line);
  }

  /** Processor time that it has used, milliseconds. */
  async processorTime(): Promise<number> {
    await this.#input.write(new TextEncoder().encode("\n"));
    return await this.#line() / 1000;
  }

  /** Ends it; its exit code. */
  async end(): Promise<number> {
    await this.#input.close();
    return (await this.#process.status).code;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.end().catch(() => {});
  }
}

Deno.test("without file descriptors connections wait: the data plane neither spins nor ends, and goes on", async () => {
  await using backend = new Backend(() => new Response("ok"));
  await using child = await Child.start(backend.port);
  const request = "GET / HTTP/1.1\r\nhost: a\r\n\r\n";
  using before = await RawConnection.connect(child.port);
  await before.send(request);
  await before.until(/^HTTP\/1.1 200 /);

  const idle: RawConnection[] = [];
  for (let i = 0; i < descriptors; i++) idle.push(await RawConnection.connect(child.port));
  using waiting = await RawConnection.connect(child.port);
  await waiting.send(request);
  // Connections that were accepted before are served meanwhile.
  before.received = "";
  await before.send(request);
  await before.until(/^HTTP\/1.1 200 /);
  const start = await child.processorTime();
  await new Promise((resolve) => setTimeout(resolve, 2000));
  const used = await child.processorTime() - start;
  assert.ok(used < 1000, `${used} ms of processor time in 2 s without work`);
  assert.equal(waiting.received, "");

  for (const connection of idle) connection.close();
  await waiting.until(/^HTTP\/1.1 200 /);
  before.close();
  waiting.close();
  assert.equal(await child.end(), 0);
});
