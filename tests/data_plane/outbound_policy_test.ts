import { deepEqual, equal, match } from "node:assert/strict";
import type { Answer } from "dns-packet";
import { startNameServer, type TestNameServer } from "../../agent/dns/testdata/name_server.ts";
import { node } from "../../routing/compile/testing/mesh.ts";
import { configureWorkload, meshOf } from "./configured_workload.ts";
import { Backend, freePort, rawExchange, TestProxy } from "./harness.ts";
import { until } from "./raw_sockets.ts";
import { echo, TcpServer } from "./tcp_peers.ts";

const proxyName = "productpage-v1";

/** A workload in a mesh of these resources, whose names a server of the test's own answers. */
class Caller implements AsyncDisposable {
  readonly logFile = Deno.makeTempFileSync();
  readonly port = freePort();
  #stack = new AsyncDisposableStack();
  names!: TestNameServer;
  proxy!: TestProxy;

  static async start(meshYaml = "", yaml = ""): Promise<Caller> {
    const caller = new Caller();
    caller.names = caller.#stack.use(await startNameServer());
    caller.proxy = caller.#stack.use(await TestProxy.start({ proxy: proxyName }));
    const mesh = meshOf(yaml, `${meshYaml}\naccessLogFile: ${caller.logFile}\n`);
    const client = node({ httpProxy: { address: "127.0.0.1", port: caller.port }, ports: [] });
    const configuration = await configureWorkload(caller.proxy, mesh, client, caller.names);
    caller.#stack.defer(() => configuration.close());
    caller.#stack.defer(() => Deno.remove(caller.logFile));
    return caller;
  }

  resolves(name: string, ...addresses: string[]): void {
    this.names.records.set(`${name} A`, addresses.map((data): Answer => ({ type: "A", name, ttl: 60, data })));
  }

  /** Status line and body. */
  async get(host: string, target = "/"): Promise<string> {
    const response = await rawExchange(
      this.port,
      `GET ${target} HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`,
      8000,
    );
    return `${response.slice(9, 12)} ${response.split("\r\n\r\n")[1]}`;
  }

  connect(authority: string, payload: string): Promise<string> {
    return rawExchange(this.port, `CONNECT ${authority} HTTP/1.1\r\nHost: ${authority}\r\n\r\n${payload}`);
  }

  /** `service code flags` of each series. */
  recorded(): string[] {
    return this.proxy.threads.series().filter(({ metric }) => metric === "istio_requests_total").map(({ labels }) =>
      `${labels.destination_service_name} ${labels.response_code} ${labels.response_flags}`
    ).sort();
  }

  async log(text: string): Promise<string> {
    await until(() => Deno.readTextFileSync(this.logFile).includes(text), "the line is logged");
    return Deno.readTextFileSync(this.logFile).split("\n").find((line) => line.includes(text))!;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#stack.disposeAsync();
  }
}

Deno.test("ALLOW_ANY: a host that nobody knows is resolved and reached, in both forms of a request", async () => {
  await using caller = await Caller.start();
  await using backend = new Backend((request) => new Response(request.headers.get("host")));
  const host = `outside.example:${backend.port}`;
  caller.resolves("outside.example", "127.0.0.1");
  equal(await caller.get(host), `200 ${host}`);
  equal(await caller.get(host, `http://${host}/absolute`), `200 ${host}`);
  equal(await caller.get(`127.0.0.1:${backend.port}`), `200 127.0.0.1:${backend.port}`);
  // It has been asked for once; an address is not asked for.
  deepEqual(caller.names.asked, ["outside.example A"]);
  deepEqual(caller.recorded(), ["PassthroughCluster 200 -"]);
  match(await caller.log("/absolute"), /PassthroughCluster .* allow_any/);
});

Deno.test("ALLOW_ANY: CONNECT leads to the bytes of a host that nobody knows", async () => {
  await using caller = await Caller.start();
  await using server = new TcpServer(echo);
  caller.resolves("db.example", "127.0.0.1");
  const answer = await caller.connect(`db.example:${server.port}`, "select 1");
  match(answer, /^HTTP\/1\.1 200 /);
  match(answer, /select 1$/);
});

Deno.test("requests that come together wait for one answer", async () => {
  await using caller = await Caller.start();
  await using backend = new Backend(() => new Response("there"));
  caller.resolves("outside.example", "127.0.0.1");
  const answers = await Promise.all(Array.from({ length: 20 }, () => caller.get(`outside.example:${backend.port}`)));
  deepEqual([...new Set(answers)], ["200 there"]);
  deepEqual(caller.names.asked, ["outside.example A"]);
});

Deno.test("a name without an address is 503 DF, at once when it is asked for again, and nothing before the answer", async () => {
  await using caller = await Caller.start();
  equal(await caller.get("gone.example"), "503 DNS resolution failure");
  const asked = caller.names.asked.length;
  equal(await caller.get("gone.example"), "503 DNS resolution failure");
  equal(caller.names.asked.length, asked);
  deepEqual(caller.recorded(), ["PassthroughCluster 503 DF"]);
  caller.names.trouble = "silence";
  const begun = performance.now();
  equal(await caller.get("silent.example"), "503 DNS resolution failure");
  const waited = performance.now() - begun;
  equal(waited > 4000 && waited < 8000, true, `${waited} ms`);
});

Deno.test("a target that leads back to the agent is not dialled", async () => {
  await using caller = await Caller.start();
  caller.resolves("loop.example", "127.0.0.66");
  equal(await caller.get("loop.example"), "503 DNS resolution failure");
  equal(await caller.get("127.0.0.66:80"), "503 DNS resolution failure");
});

Deno.test("an authority that is no host to dial is refused", async () => {
  await using caller = await Caller.start();
  for (const authority of ["outside.example:0", "outside.example:70000", "out*side", "[::1"]) {
    match(await caller.get(authority), /^(400|503) /, authority);
  }
  deepEqual(caller.names.asked, []);
});

Deno.test("REGISTRY_ONLY: a host that nobody knows gets 502, by CONNECT no connection", async () => {
  await using caller = await Caller.start("outboundTrafficPolicy: { mode: REGISTRY_ONLY }");
  await using backend = new Backend(() => new Response("there"));
  caller.resolves("outside.example", "127.0.0.1");
  equal(await caller.get(`outside.example:${backend.port}`, "/blocked"), "502 ");
  match(await caller.connect(`outside.example:${backend.port}`, ""), /^HTTP\/1\.1 503 /);
  deepEqual([backend.requests, caller.names.asked], [0, []]);
  deepEqual(caller.recorded(), ["BlackHoleCluster 502 -", "BlackHoleCluster 503 UH"]);
  match(await caller.log("/blocked"), / block_all$/);
});

for (const resolution of ["NONE", "DYNAMIC_DNS"]) {
  Deno.test(`a ServiceEntry of resolution ${resolution} lets its hosts and ports through, and no others`, async () => {
    await using backend = new Backend(({ headers }) => new Response(headers.get("host")));
    await using other = new Backend(() => new Response("not to be reached"));
    await using caller = await Caller.start(
      "outboundTrafficPolicy: { mode: REGISTRY_ONLY }",
      `
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: { name: wild }
spec:
  hosts: ["*.wild.example"]
  ports: [{ number: ${backend.port}, name: http, protocol: HTTP }]
  resolution: ${resolution}
`,
    );
    for (const name of ["a.wild.example", "b.wild.example", "wild.example"]) caller.resolves(name, "127.0.0.1");
    equal(await caller.get(`a.wild.example:${backend.port}`), `200 a.wild.example:${backend.port}`);
    equal(await caller.get(`b.wild.example:${backend.port}`), `200 b.wild.example:${backend.port}`);
    equal(await caller.get(`a.wild.example:${other.port}`), "502 ");
    equal(await caller.get(`wild.example:${backend.port}`), "502 ");
    equal(await caller.get("a.wild.example"), "502 ");
    deepEqual(caller.recorded(), ["*.wild.example 200 -", "BlackHoleCluster 502 -"]);
  });
}
