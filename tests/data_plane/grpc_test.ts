import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import type { RetryConfig } from "../../agent/config/model.ts";
import { freePort, TestProxy } from "./harness.ts";
import { until } from "./raw_sockets.ts";

/** One call by `grpc/call.cjs`. */
interface Call {
  kind: "unary" | "collect" | "spread" | "chat";
  sizes?: number[];
  metadata?: Record<string, string>;
  /** Milliseconds. */
  deadline?: number;
  cancelAfter?: number;
}

interface Result {
  code: number;
  details: string;
  received: number[];
  trailers: Record<string, string>;
}

const script = (name: string) => fileURLToPath(new URL(`grpc/${name}`, import.meta.url));

/** Node's HTTP/2 in a process of its own: inside Deno its faults would be ours. */
class Server implements AsyncDisposable {
  output = "";
  port = 0;
  readonly #process: Deno.ChildProcess;
  readonly #reading: Promise<void>;

  private constructor(command: Deno.Command) {
    const process = this.#process = command.spawn();
    this.#reading = (async () => {
      for await (const text of process.stdout.pipeThrough(new TextDecoderStream())) this.output += text;
    })();
  }

  static async start(
    command = new Deno.Command("node", { args: [script("echo_server.cjs")], stdout: "piped" }),
  ): Promise<Server> {
    const server = new Server(command);
    await until(() => /port \d+/.test(server.output), "the server's port");
    server.port = Number(/port (\d+)/.exec(server.output)![1]);
    return server;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#process.kill();
    await this.#process.status;
    await this.#reading;
  }
}

/** Groups of calls, those of a group at once. */
async function call(port: number, ...groups: Call[][]): Promise<Result[][]> {
  const args = [script("call.cjs"), String(port), JSON.stringify(groups)];
  const { stdout, success } = await new Deno.Command("node", { args, stdout: "piped" }).output();
  assert.ok(success);
  return JSON.parse(new TextDecoder().decode(stdout));
}

const http2 = { maxConcurrentStreams: 100 };

function counted(proxy: TestProxy): string[] {
  return proxy.threads.series().filter(({ metric }) => metric === "istio_requests_total")
    .map(({ labels, values }) => {
      const { request_protocol, response_code, response_flags, grpc_response_status } = labels;
      return `${request_protocol} ${response_code} ${response_flags} ${grpc_response_status}: ${values[0]}`;
    }).sort();
}

Deno.test("calls of all four kinds pass between a client and a server of grpc-js", async () => {
  await using server = await Server.start();
  const { proxy, port } = await TestProxy.simple([server.port], { cluster: { http2 } });
  await using _ = proxy;
  const [[unary, empty, large], [collect], [spread], [chat]] = await call(
    port,
    [{ kind: "unary", sizes: [5] }, { kind: "unary" }, { kind: "unary", sizes: [3_000_000] }],
    [{ kind: "collect", sizes: [1, 0, 100_000, 20] }],
    [{ kind: "spread", sizes: [1000], metadata: { "x-count": "500" } }],
    [{ kind: "chat", sizes: [1, 2, 70_000, 3, 0] }],
  );
  for (const result of [unary, empty, large, collect, spread, chat]) assert.equal(result.code, 0, result.details);
  assert.deepEqual([unary.received, empty.received, large.received], [[5], [0], [3_000_000]]);
  assert.equal(unary.trailers["x-trailer"], "of the server");
  assert.deepEqual(collect.received, [100_021]);
  assert.equal(spread.received.length, 500);
  assert.deepEqual(chat.received, [1, 2, 70_000, 3, 0]);
  assert.deepEqual(counted(proxy), ["grpc 200 - 0: 6"]);
});

Deno.test("the server's status comes through, with messages before it or without, and is counted", async () => {
  await using server = await Server.start();
  const { proxy, port } = await TestProxy.simple([server.port], { cluster: { http2 } });
  await using _ = proxy;
  const [[only, behind]] = await call(port, [
    { kind: "unary", metadata: { "x-status": "5" } },
    { kind: "spread", metadata: { "x-status": "7", "x-count": "3" } },
  ]);
  assert.deepEqual([only.code, only.details, only.received], [5, "status 5 was asked for", []]);
  assert.deepEqual([behind.code, behind.received.length], [7, 3]);
  assert.equal(behind.trailers["x-trailer"], "of the server");
  assert.deepEqual(counted(proxy), ["grpc 200 - 5: 1", "grpc 200 - 7: 1"]);
});

Deno.test("a call that gets no upstream ends with a status of gRPC, over HTTP 200", async () => {
  const { proxy, port } = await TestProxy.simple([freePort()], { cluster: { http2 } });
  await using _ = proxy;
  const [[refused]] = await call(port, [{ kind: "unary", sizes: [5] }]);
  assert.equal(refused.code, 14);
  assert.match(refused.details, /^upstream connect error .* connection failure/);
  await proxy.update({ endpoints: [{ cluster: "backend", localities: [], panicThreshold: 0 }] });
  const [[none]] = await call(port, [{ kind: "chat", sizes: [5] }]);
  assert.deepEqual([none.code, none.details], [14, "no healthy upstream"]);
  await proxy.update({ routes: [{ name: "routes", virtualHosts: [] }] });
  const [[unrouted]] = await call(port, [{ kind: "unary" }]);
  assert.equal(unrouted.code, 12);
  assert.deepEqual(counted(proxy), ["grpc 200 NR 12: 1", "grpc 200 UF 14: 1", "grpc 200 UH 14: 1"]);
});

Deno.test("a call whose deadline passes, or that is cancelled, is given up at the server too", async () => {
  await using server = await Server.start();
  const { proxy, port } = await TestProxy.simple([server.port], { cluster: { http2 } });
  await using _ = proxy;
  const [[late], [cancelled], [after]] = await call(
    port,
    [{ kind: "unary", metadata: { "x-delay": "5000" }, deadline: 300 }],
    [{ kind: "chat", sizes: [1, 2, 3, 4], cancelAfter: 2 }],
    [{ kind: "unary", sizes: [1] }],
  );
  assert.equal(late.code, 4);
  assert.equal(cancelled.code, 1);
  assert.equal(after.code, 0);
  await until(() => server.output.includes("cancelled"), "the server's word of it");
  // One is given up before the server has answered, one in the midst of its answer.
  const expected = ["grpc 0 DC : 1", "grpc 200 - 0: 1", "grpc 200 DC 2: 1"];
  await until(() => counted(proxy).length === expected.length, () => JSON.stringify(counted(proxy)));
  assert.deepEqual(counted(proxy), expected);
});

Deno.test("a call is made again on the statuses that the policy names", async () => {
  await using server = await Server.start();
  const retry: RetryConfig = {
    retryOn: ["unavailable"],
    numRetries: 2,
    perTryTimeout: 0,
    retriableStatusCodes: [],
    backOffBase: 1,
    backOffMax: 10,
    avoidPreviousHosts: false,
    hostSelectionMaxAttempts: 1,
  };
  const { proxy, port } = await TestProxy.simple([server.port], { cluster: { http2 }, action: { retry } });
  await using _ = proxy;
  const [[second, never, other]] = await call(port, [
    { kind: "unary", sizes: [5], metadata: { "x-key": "a", "x-failures": "2" } },
    { kind: "unary", sizes: [5], metadata: { "x-key": "b", "x-failures": "3" } },
    { kind: "unary", sizes: [5], metadata: { "x-key": "c", "x-status": "13" } },
  ]);
  assert.deepEqual([second.code, second.received], [0, [5]]);
  assert.deepEqual([never.code, never.details], [14, "not yet"]);
  assert.equal(other.code, 13);
  assert.deepEqual(counted(proxy), ["grpc 200 - 0: 1", "grpc 200 - 13: 1", "grpc 200 URX 14: 1"]);
});

/** The folder that `grpcio` has been installed into; without Python or PyPI the reason. */
async function installGrpcio(): Promise<{ folder: string } | { missing: string }> {
  const folder = await Deno.makeTempDir({ prefix: "grpcio-" });
  const args = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--retries", "1", "--timeout", "10"];
  try {
    const command = new Deno.Command("python3", { args: [...args, "--target", folder, "grpcio"], stdout: "null" });
    const { success, stderr } = await command.output();
    if (success) return { folder };
    return { missing: `pip: ${new TextDecoder().decode(stderr).trim().split("\n").at(-1)}` };
  } catch (error) {
    return { missing: (error as Error).message };
  }
}

Deno.test("calls of all four kinds pass between a client and a server of grpcio", async () => {
  const installed = await installGrpcio();
  if ("missing" in installed) return console.log(`grpcio is not tried: ${installed.missing}`);
  const python = (...args: string[]) =>
    new Deno.Command("python3", {
      args: [script("grpcio_echo.py"), ...args],
      env: { PYTHONPATH: installed.folder },
      stdin: "piped",
      stdout: "piped",
    });
  {
    await using server = await Server.start(python("serve"));
    const { proxy, port } = await TestProxy.simple([server.port], { cluster: { http2 } });
    await using _ = proxy;
    const client = python("call", String(port)).spawn();
    await client.stdin.close();
    const results = JSON.parse(new TextDecoder().decode((await client.output()).stdout));
    assert.deepEqual(results, {
      "unary 0": [0, "of the server"],
      "unary 1": [1, "of the server"],
      "unary 2000000": [2_000_000, "of the server"],
      status: [9, "asked for"],
      collect: 100_001,
      spread: 200_000,
      chat: [1, 0, 100_000],
    });
    assert.deepEqual(counted(proxy), ["grpc 200 - 0: 6", "grpc 200 - 9: 1"]);
  }
  await Deno.remove(installed.folder, { recursive: true });
});
