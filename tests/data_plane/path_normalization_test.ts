import assert from "node:assert/strict";
import { type JsonObject } from "@bufbuild/protobuf";
import { managerSetup, meshSetup, toBackend } from "./configured.ts";
import { Backend, rawExchange, TestProxy } from "./harness.ts";

/** Says what path arrived, byte for byte: a URL parser would normalise it once more. */
class Echo implements AsyncDisposable {
  readonly port: number;
  readonly paths: string[] = [];
  readonly #listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  readonly #done: Promise<void>;

  constructor() {
    this.port = (this.#listener.addr as Deno.NetAddr).port;
    this.#done = this.#serve();
  }

  async #serve(): Promise<void> {
    for await (const connection of this.#listener) {
      const buffer = new Uint8Array(4096);
      const count = await connection.read(buffer);
      this.paths.push(new TextDecoder().decode(buffer.subarray(0, count ?? 0)).split(" ")[1]);
      await connection.write(
        new TextEncoder().encode("HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"),
      );
      connection.close();
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#listener.close();
    await this.#done;
  }
}

async function ask(port: number, path: string, host = "a"): Promise<{ status: number; text: string }> {
  const text = await rawExchange(port, `GET ${path} HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`, 2000);
  return { status: Number(text.split(" ")[1]), text };
}

/** What an application sees of each path under a mesh-wide rule; a number is the status it is refused with. */
const rows: [path: string, none: string, base: string | number, merge: string | number, decode: string | number][] = [
  ["/a//b", "/a//b", "/a//b", "/a/b", "/a/b"],
  ["/a/./b?x=/../y", "/a/./b?x=/../y", "/a/b?x=/../y", "/a/b?x=/../y", "/a/b?x=/../y"],
  ["/a/../b", "/a/../b", "/b", "/b", "/b"],
  ["/a%2fb", "/a%2fb", "/a%2fb", "/a%2fb", "/a/b"],
  ["/a%5cb", "/a%5cb", "/a%5cb", "/a%5cb", "/a/b"],
  ["/a\\b", "/a\\b", "/a/b", "/a/b", "/a/b"],
  ["/a/%2e%2e/b", "/a/%2e%2e/b", "/b", "/b", "/b"],
  ["/a%00b", "/a%00b", 400, 400, 400],
  ["/a;b=c/d", "/a;b=c/d", "/a;b=c/d", "/a;b=c/d", "/a;b=c/d"],
  ["/a%2f%2e%2e%5c%2fb", "/a%2f%2e%2e%5c%2fb", "/a%2f..%5c%2fb", "/a%2f..%5c%2fb", "/b"],
];

for (const [index, mode] of ["NONE", "BASE", "MERGE_SLASHES", "DECODE_AND_MERGE_SLASHES"].entries()) {
  Deno.test(`under pathNormalization ${mode} applications see the paths that Istio lets them see`, async () => {
    await using echo = new Echo();
    const { port, setup } = meshSetup(
      "",
      { reviews: echo.port },
      `pathNormalization: { normalization: ${mode} }\n`,
    );
    await using _ = await TestProxy.start(setup);
    for (const row of rows) {
      const expected = row[index + 1];
      const { status } = await ask(port, row[0], "reviews:9080");
      if (typeof expected === "number") assert.equal(status, expected, row[0]);
      else assert.equal(echo.paths.pop(), expected, row[0]);
    }
    assert.deepEqual(echo.paths, []);
  });
}

Deno.test("BASE is the rule where mesh.yaml says nothing, and rules match what is forwarded", async () => {
  await using echo = new Echo();
  const rules = `
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: { name: reviews }
spec:
  hosts: [reviews]
  http:
    - match: [{ uri: { prefix: /admin } }]
      directResponse: { status: 403 }
    - route: [{ destination: { host: reviews } }]
`;
  const { port, setup } = meshSetup(rules, { reviews: echo.port });
  await using _ = await TestProxy.start(setup);
  for (const path of ["/admin", "/x/../admin", "/x/%2e%2e/admin", "/x\\..\\admin", "/%61dmin/b", "/./admin"]) {
    assert.equal((await ask(port, path, "reviews:9080")).status, 403, path);
  }
  assert.deepEqual(echo.paths, []);
  await ask(port, "/admin/../public", "reviews:9080");
  assert.deepEqual(echo.paths, ["/public"]);
});

async function logged(manager: JsonObject, requests: string[]): Promise<string[]> {
  await using backend = new Backend(() => new Response("ok"));
  const file = await Deno.makeTempFile();
  const accessLog = [{
    name: "file",
    typedConfig: {
      "@type": "type.googleapis.com/envoy.extensions.access_loggers.file.v3.FileAccessLog",
      path: file,
      logFormat: { textFormatSource: { inlineString: "%RESPONSE_CODE% %REQ(:AUTHORITY)% %REQ(:PATH)%\n" } },
    },
  }];
  try {
    const { port, setup } = managerSetup({ ...manager, accessLog }, [toBackend], { backend: [backend.port] });
    await using _ = await TestProxy.start(setup);
    for (const request of requests) await rawExchange(port, request.replaceAll("PORT", String(port)), 2000);
    for (;;) {
      const lines = (await Deno.readTextFile(file)).trim().split("\n");
      if (lines.length === requests.length && lines[0] !== "") return lines;
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  } finally {
    await Deno.remove(file);
  }
}

const get = (path: string, host = "a") => `GET ${path} HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`;

Deno.test("the log tells the path and the host that were matched, not those that were sent", async () => {
  const lines = await logged({ normalizePath: true, stripTrailingHostDot: true, stripAnyHostPort: true }, [
    get("/x/../b?c=d", "Reviews.Example.:80"),
    get("/a%00b"),
  ]);
  assert.deepEqual(lines, ["200 reviews.example /b?c=d", "400 a /a%00b"]);
});

Deno.test("the listener's own port is left out of the host where that is asked for", async () => {
  const lines = await logged({ stripMatchingHostPort: true }, [get("/", "a:PORT"), get("/", "a:81")]);
  assert.deepEqual(lines, ["200 a /", "200 a:81 /"]);
});

Deno.test("escaped slashes are refused or redirected where the connection manager says so", async () => {
  await using echo = new Echo();
  const reject = managerSetup({ normalizePath: true, pathWithEscapedSlashesAction: "REJECT_REQUEST" }, [toBackend], {
    backend: [echo.port],
  });
  await using _reject = await TestProxy.start(reject.setup);
  assert.equal((await ask(reject.port, "/a%2Fb")).status, 400);
  assert.equal((await ask(reject.port, "/a?b=%2F")).status, 200);
  const redirect = managerSetup(
    { normalizePath: true, mergeSlashes: true, pathWithEscapedSlashesAction: "UNESCAPE_AND_REDIRECT" },
    [toBackend],
    { backend: [echo.port] },
  );
  await using _redirect = await TestProxy.start(redirect.setup);
  const { status, text } = await ask(redirect.port, "/a%2F%2Fb%5C..?c=%2F");
  assert.equal(status, 307);
  assert.match(text, /\r\nlocation: \/a\/\?c=%2F\r\n/);
  assert.deepEqual(echo.paths, ["/a?b=%2F"]);
});
