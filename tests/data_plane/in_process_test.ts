/**
 * Two workloads of one agent: what happens between them in process must be what happens over the wire. Each case runs
 * both ways; what the caller and the application have seen, both access logs and both reports of metrics are compared.
 */
import assert from "node:assert/strict";
import { Authority } from "../../ca/authority/authority.ts";
import type { Condition, RbacConfig } from "../../routing/authorize/condition.ts";
import { ClusterSlot } from "../../agent/config/shared_memory.ts";
import { endpoints } from "./harness.ts";
import { answer, Http2Backend } from "./http2_peer.ts";
import { identity, Mesh, type MeshOptions, setSecrets, type Way } from "./mesh.ts";
import { exchangeUntilEnd, RawBackend, RawConnection, until } from "./raw_sockets.ts";

interface Case {
  name: string;
  options?: MeshOptions;
  /** Answers requests; absent: says what it was sent. */
  application?: (request: Request) => Response | Promise<Response>;
  /** Answers each request in the place of {@link application}; with `$CLOSE` at the end the connection ends too. */
  raw?: string;
  /** The application speaks HTTP/2. */
  http2?: boolean;
  /** What was seen, with a check that it is what the case is about. */
  run: (mesh: Mesh, backend: RawBackend | null) => Promise<unknown>;
  /** Both sides keep to the socket pair on which they have met. */
  staysOnSockets?: boolean;
  /** Requests that each side records. */
  recorded: { caller: number; receiver: number };
}

const get = "GET /x?y=1 HTTP/1.1\r\nHost: reviews\r\nX-Kind: a\r\nConnection: close\r\n\r\n";

async function echo(request: Request): Promise<Response> {
  const body = await request.text();
  const headers = [...request.headers].filter(([name]) => name !== "host");
  return new Response(JSON.stringify({ method: request.method, url: request.url, headers, body }));
}

function rules(action: "ALLOW" | "DENY", condition: Condition): RbacConfig[] {
  return [{ rules: { action, policies: [{ name: "p", condition }] }, shadow: null }];
}

function receiverRules(action: "ALLOW" | "DENY", condition: Condition): MeshOptions {
  return { receiver: { chain: { authorization: rules(action, condition) } } };
}

function principal(serviceAccount: string): Condition {
  const value = `spiffe://cluster.local/ns/default/sa/${serviceAccount}`;
  return { kind: "principal", match: { kind: "exact", value, ignoreCase: false } };
}

/** One request with this start, and the answer. */
async function ask(mesh: Mesh, expected: RegExp, request = get): Promise<string> {
  const answer = await exchangeUntilEnd(mesh.outboundPort, request);
  assert.match(answer, expected);
  return answer;
}

const outlierDetection = {
  consecutive5xx: 2,
  consecutiveGatewayFailure: 0,
  splitExternalLocalOriginErrors: false,
  consecutiveLocalOriginFailure: 0,
  interval: 10_000,
  baseEjectionTime: 60_000,
  maxEjectionTime: 300_000,
  maxEjectionPercent: 100,
};
const retry = {
  retryOn: ["5xx"],
  numRetries: 2,
  perTryTimeout: 0,
  retriableStatusCodes: [],
  backOffBase: 1,
  backOffMax: 1,
  avoidPreviousHosts: false,
  hostSelectionMaxAttempts: 1,
};
const tcp = {
  statPrefix: "inbound",
  clusters: [{ name: "inbound|9080||", weight: 1 }],
  idleTimeout: 3_600_000,
  maxConnectAttempts: 1,
};
const once = { caller: 1, receiver: 1 };

let answered = 0;
/** Where the application itself calls. */
let outboundPort = 0;
const cases: Case[] = [
  { name: "a request and its answer", run: (mesh) => ask(mesh, /^HTTP\/1\.1 200 /), recorded: once },
  {
    name: "a body with a length",
    run: (mesh) =>
      ask(mesh, /"body":"hello"/, get.replace("GET", "POST").replace("\r\n\r\n", "\r\nContent-Length: 5\r\n\r\nhello")),
    recorded: once,
  },
  {
    name: "a body in chunks with trailers, both ways",
    raw: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nX-Sum: 1\r\n\r\n",
    run: async (mesh, backend) => {
      const request = get.replace("GET", "POST").replace("\r\n\r\n", "\r\nTransfer-Encoding: chunked\r\n\r\n") +
        "5\r\nhello\r\n0\r\nX-Check: 2\r\n\r\n";
      const answer = await ask(mesh, /3\r\nabc\r\n0\r\nx-sum: 1\r\n\r\n$/i, request);
      assert.match(backend!.received, /x-check: 2/i);
      return { answer, sent: backend!.received };
    },
    recorded: once,
  },
  {
    name: "HEAD",
    run: (mesh) => ask(mesh, /^HTTP\/1\.1 200 [^]*\r\n\r\n$/, get.replace("GET", "HEAD")),
    recorded: once,
  },
  {
    name: "an answer without a body",
    application: () => new Response(null, { status: 204 }),
    run: (mesh) => ask(mesh, /^HTTP\/1\.1 204 /),
    recorded: once,
  },
  {
    name: "an answer that ends with its connection",
    raw: "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nall of it$CLOSE",
    run: (mesh) => ask(mesh, /all of it/),
    recorded: once,
  },
  {
    name: "an interim response stays on its hop",
    raw: "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
    run: (mesh) => ask(mesh, /^HTTP\/1\.1 200 [^]*ok$/),
    recorded: once,
  },
  {
    name: "gRPC's status in trailers",
    raw:
      "HTTP/1.1 200 OK\r\nContent-Type: application/grpc\r\nTransfer-Encoding: chunked\r\n\r\n0\r\ngrpc-status: 5\r\n\r\n",
    run: (mesh) =>
      ask(mesh, /grpc-status: 5/, get.replace("X-Kind: a", "Content-Type: application/grpc\r\nTE: trailers")),
    recorded: once,
  },
  {
    name: "gRPC's local reply",
    options: receiverRules("DENY", { kind: "any" }),
    run: (mesh) =>
      ask(mesh, /grpc-status: 7/, get.replace("X-Kind: a", "Content-Type: application/grpc\r\nTE: trailers")),
    recorded: once,
  },
  {
    name: "a caller that is allowed by its identity",
    options: receiverRules("ALLOW", principal("productpage")),
    run: (mesh) => ask(mesh, /^HTTP\/1\.1 200 /),
    recorded: once,
  },
  {
    name: "a caller whose identity is not allowed",
    options: receiverRules("ALLOW", principal("ratings")),
    run: (mesh) => ask(mesh, /^HTTP\/1\.1 403 [^]*RBAC: access denied/),
    recorded: once,
  },
  {
    name: "rules on the caller's address and the server name",
    options: receiverRules("ALLOW", {
      kind: "all",
      of: [
        { kind: "peerAddress", range: { address: "127.0.0.1", length: 32 } },
        { kind: "serverName", match: { kind: "prefix", value: "outbound_.9080_", ignoreCase: false } },
      ],
    }),
    run: (mesh) => ask(mesh, /^HTTP\/1\.1 200 /),
    recorded: once,
  },
  {
    name: "a receiver whose identity is another",
    options: { expected: ["spiffe://cluster.local/ns/default/sa/ratings"] },
    run: (mesh) => ask(mesh, /^HTTP\/1\.1 503 /),
    recorded: { caller: 1, receiver: 0 },
  },
  {
    name: "no filter chain for the server name",
    options: { receiver: { chain: { serverNames: ["outbound_.1_._.other.default.svc.cluster.local"] } } },
    run: (mesh) => ask(mesh, /^HTTP\/1\.1 503 /),
    recorded: { caller: 1, receiver: 0 },
  },
  {
    name: "a receiver that agrees on no HTTP/2",
    options: { receiver: { tls: { alpn: ["istio-http/1.1"] } } },
    run: (mesh) => ask(mesh, /^HTTP\/1\.1 200 /),
    staysOnSockets: true,
    recorded: once,
  },
  {
    name: "a receiver that passes on the bytes of HTTP/2",
    options: {
      receiver: { chain: { http: null, tcp } },
      caller: { cluster: { http2: { maxConcurrentStreams: 100 } } },
    },
    http2: true,
    run: (mesh) => ask(mesh, /^HTTP\/1\.1 200 [^]*of HTTP\/2/),
    staysOnSockets: true,
    recorded: { caller: 1, receiver: 0 },
  },
  {
    name: "a caller with a certificate of another trust domain",
    run: async (mesh) => {
      const authority = await Authority.open({ dataDir: `${mesh.dataDir}/other`, trustDomain: "other.example" });
      const foreign = await identity(authority, "productpage");
      await setSecrets(mesh.proxy, "productpage", foreign, mesh.authority.trustBundle());
      return await ask(mesh, /^HTTP\/1\.1 503 /);
    },
    recorded: { caller: 1, receiver: 0 },
  },
  ...(["caller", "receiver"] as const).map((side): Case => ({
    name: `a certificate of the ${side} that has expired`,
    run: async (mesh) => {
      const name = side === "caller" ? "productpage" : "reviews";
      const brief = await identity(mesh.authority, name, 1000);
      const proxy = side === "caller" ? mesh.proxy : mesh.receiver;
      await setSecrets(proxy, name, brief, mesh.authority.trustBundle());
      await new Promise((resolve) => setTimeout(resolve, 2100));
      return await ask(mesh, /^HTTP\/1\.1 503 /);
    },
    recorded: { caller: 1, receiver: 0 },
  })),
  {
    name: "a retry after 503",
    options: { caller: { action: { retry } } },
    application: () => answered++ % 2 === 0 ? new Response("no", { status: 503 }) : new Response("yes"),
    run: (mesh) => ask(mesh, /^HTTP\/1\.1 200 [^]*yes$/),
    recorded: { caller: 1, receiver: 2 },
  },
  {
    name: "the caller's timeout",
    options: { caller: { action: { timeout: 150 } } },
    application: () => new Promise((resolve) => setTimeout(() => resolve(new Response("late")), 600)),
    run: (mesh) => ask(mesh, /^HTTP\/1\.1 504 /),
    recorded: once,
  },
  {
    name: "a circuit breaker that lets nothing through",
    options: {
      caller: {
        cluster: { circuitBreakers: { maxConnections: 1, maxPendingRequests: 1, maxRequests: 0, maxRetries: 0 } },
      },
    },
    run: (mesh) => ask(mesh, /^HTTP\/1\.1 503 [^]*overflow/),
    recorded: { caller: 1, receiver: 0 },
  },
  {
    name: "a host that outlier detection has ejected",
    options: { caller: { cluster: { outlierDetection } } },
    application: () => new Response("no", { status: 500 }),
    run: async (mesh) => {
      for (let i = 0; i < 2; i++) await ask(mesh, /^HTTP\/1\.1 500 /);
      return await ask(mesh, /^HTTP\/1\.1 503 [^]*no healthy upstream/);
    },
    recorded: { caller: 3, receiver: 2 },
  },
  {
    name: "an application that is not there",
    options: { receiver: { cluster: { connectTimeout: 500 } } },
    run: async (mesh) => {
      await mesh.backend[Symbol.asyncDispose]();
      return await ask(mesh, /^HTTP\/1\.1 503 /);
    },
    recorded: once,
  },
  {
    name: "an application that breaks off",
    raw: "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nsome",
    run: async (mesh, backend) => {
      using caller = await RawConnection.connect(mesh.outboundPort);
      await caller.send(get);
      await caller.until(/some$/);
      for (const connection of backend!.connections) connection.close();
      return await caller.end();
    },
    recorded: once,
  },
  {
    name: "an answer that is none",
    raw: "garbage\r\n\r\n$CLOSE",
    run: (mesh) => ask(mesh, /^HTTP\/1\.1 50[23] /),
    recorded: once,
  },
  {
    name: "a caller that leaves",
    raw: "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nsome",
    run: async (mesh, backend) => {
      {
        using caller = await RawConnection.connect(mesh.outboundPort);
        await caller.send(get);
        await caller.until(/some$/);
      }
      await until(() => backend!.connections.every(({ ended }) => ended), "the end of the application's connection");
    },
    recorded: once,
  },
  {
    name: "a mirrored request",
    options: { caller: { action: { mirrors: [{ cluster: "backend", fraction: null, keepHost: true }] } } },
    run: async (mesh) => {
      const answer = await ask(mesh, /^HTTP\/1\.1 200 /);
      await until(() => mesh.backend.requests === 2, "the copy");
      return answer;
    },
    recorded: { caller: 1, receiver: 2 },
  },
  {
    name: "many requests at once",
    run: async (mesh) => {
      const answers = await Promise.all(Array.from({ length: 50 }, () => ask(mesh, /^HTTP\/1\.1 200 /)));
      return answers.length;
    },
    recorded: { caller: 50, receiver: 50 },
  },
  {
    name: "an application that calls on, thirty deep",
    application: async (request) => {
      const depth = Number(request.headers.get("x-depth"));
      if (depth === 0) return new Response("the end");
      const answer = await fetch(`http://127.0.0.1:${outboundPort}/`, { headers: { "x-depth": String(depth - 1) } });
      return new Response(await answer.text(), { status: answer.status });
    },
    run: (mesh) => {
      outboundPort = mesh.outboundPort;
      return ask(mesh, /^HTTP\/1\.1 200 [^]*the end$/, get.replace("X-Kind: a", "X-Depth: 30"));
    },
    recorded: { caller: 31, receiver: 31 },
  },
  {
    name: "rules that change judge what is on its way again",
    raw: "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nsome",
    run: async (mesh) => {
      using caller = await RawConnection.connect(mesh.outboundPort);
      await caller.send(get);
      await caller.until(/some$/);
      await mesh.receiver.update(mesh.inbound({ chain: { authorization: rules("DENY", { kind: "any" }) } }));
      await caller.end();
      return [caller.received, await ask(mesh, /^HTTP\/1\.1 403 /)];
    },
    recorded: { caller: 2, receiver: 2 },
  },
  {
    name: "a listener that is removed ends what it carries",
    raw: "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nsome",
    run: async (mesh) => {
      using caller = await RawConnection.connect(mesh.outboundPort);
      await caller.send(get);
      await caller.until(/some$/);
      await mesh.receiver.update({ proxy: "reviews", removedListeners: [`127.0.0.1_${mesh.inboundPort}`] });
      await caller.end();
      return [caller.received, await ask(mesh, /^HTTP\/1\.1 503 /)];
    },
    recorded: { caller: 2, receiver: 1 },
  },
];

/** All that a log line can tell but times. */
const json = Object.fromEntries(
  [
    ...["PROTOCOL", "RESPONSE_CODE", "RESPONSE_FLAGS", "RESPONSE_CODE_DETAILS", "BYTES_RECEIVED", "BYTES_SENT"],
    ...["UPSTREAM_HOST", "UPSTREAM_CLUSTER", "DOWNSTREAM_LOCAL_ADDRESS", "DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT"],
    ...["DOWNSTREAM_PEER_URI_SAN", "DOWNSTREAM_TLS_VERSION", "UPSTREAM_PEER_URI_SAN", "REQUESTED_SERVER_NAME"],
    ...["UPSTREAM_TRANSPORT_FAILURE_REASON", "REQ(:METHOD)", "REQ(:PATH)", "REQ(:AUTHORITY)", "REQ(X-KIND)"],
  ].map((operator) => [operator, `%${operator}%`]),
);

/** What differs between two runs of the same. */
function normalized(value: unknown): unknown {
  const text = JSON.stringify(value)
    .replaceAll(/127\.0\.0\.1:\d+/g, "127.0.0.1:PORT")
    .replaceAll(/Hash=[0-9a-f]+/g, "Hash=HASH")
    .replaceAll(/[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}/g, "UUID")
    .replaceAll(/date: [^\\]*GMT/g, "date: DATE")
    .replaceAll(/(upstream-service-time|x-envoy-expected-rq-timeout-ms)(: |",")\d+/g, "$1$2N");
  return JSON.parse(text);
}

interface Outcome {
  seen: unknown;
  logs: unknown;
  metrics: unknown;
}

async function outcomeOf(testCase: Case, way: Way): Promise<Outcome> {
  const directory = await Deno.makeTempDir();
  const { options, recorded } = testCase;
  const accessLog = (name: string) => [{ path: `${directory}/${name}`, format: null, json }];
  using backend = testCase.raw === undefined ? null : rawBackend(testCase.raw);
  using http2 = testCase.http2 ? new Http2Backend((message, peer) => answer(message, peer, 200, "of HTTP/2")) : null;
  const mesh = await Mesh.start(backend?.port ?? http2?.port ?? testCase.application ?? echo, {
    ...options,
    way,
    caller: { ...options?.caller, listener: { accessLog: accessLog("caller") } },
    receiver: { ...options?.receiver, listener: { accessLog: accessLog("receiver") } },
  });
  answered = 0;
  try {
    const seen = await testCase.run(mesh, backend);
    const counted = (reporter: string) =>
      mesh.series().filter(({ metric, labels }) => metric === "istio_requests_total" && labels.reporter === reporter)
        .reduce((sum, { values }) => sum + values[0], 0);
    await until(
      () => counted("source") === recorded.caller && counted("destination") === recorded.receiver,
      () => `${counted("source")} and ${counted("destination")} requests recorded`,
    );
    const inProcess = mesh.proxy.clusterCounter(ClusterSlot.inProcessConnections);
    if (way === "over the wire") assert.equal(inProcess, 0);
    else if (testCase.staysOnSockets) assert.equal(inProcess, 0);
    else if (recorded.receiver > 0) assert.ok(inProcess > 0, "a connection in process");
    const logs = {
      caller: await lines("caller", recorded.caller),
      receiver: await lines("receiver", recorded.receiver),
    };
    const metrics = mesh.series().filter(({ metric }) => metric === "istio_requests_total")
      .map(({ labels, values }) => ({ labels: Object.fromEntries(Object.entries(labels).sort()), count: values[0] }))
      .map((one) => JSON.stringify(one)).sort();
    return { seen: normalized(seen ?? null), logs: normalized(logs), metrics };
  } finally {
    await mesh[Symbol.asyncDispose]();
    await Deno.remove(directory, { recursive: true });
  }

  async function lines(name: string, count: number): Promise<string[]> {
    const read = async () => (await Deno.readTextFile(`${directory}/${name}`).catch(() => "")).split("\n").slice(0, -1);
    await until(async () => (await read()).length >= count, `${count} lines of the ${name}`);
    return (await read()).sort();
  }
}

/** Answers each request whose head has come with these bytes. */
function rawBackend(answer: string): RawBackend {
  return new RawBackend(async (connection) => {
    await connection.until(/\r\n\r\n/);
    // A body in chunks is read first.
    if (/transfer-encoding/i.test(connection.received)) await connection.until(/\r\n0\r\n[^]*\r\n\r\n$/);
    await connection.send(answer.replace("$CLOSE", ""));
    if (answer.endsWith("$CLOSE")) connection.close();
  });
}

/** Writes until nothing more is taken for a while; how much that was. */
async function fill(connection: Deno.TcpConn): Promise<number> {
  const block = new Uint8Array(1024 * 1024);
  let sent = 0;
  for (;;) {
    let timer: ReturnType<typeof setTimeout> | undefined;
    const stalled = new Promise<null>((resolve) => timer = setTimeout(() => resolve(null), 1000));
    const count = await Promise.race([connection.write(block).catch(() => null), stalled]);
    clearTimeout(timer);
    if (count === null) return sent;
    sent += count;
    assert.ok(sent < 64 * 1024 * 1024, "nothing holds up the sender");
  }
}

Deno.test("in process: who reads nothing holds up who sends, and no other request", async () => {
  using backend = new RawBackend(async (connection) => {
    await connection.until(/\r\n\r\n/);
    if (connection.received.startsWith("GET /x")) {
      await connection.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok");
    } else if (connection.received.startsWith("GET /large")) {
      await connection.send("HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n");
      filled.push(await fill(connection.connection));
    }
  });
  const filled: number[] = [];
  await using mesh = await Mesh.start(backend.port, { way: "in process" });
  const open = () => Deno.connect({ hostname: "127.0.0.1", port: mesh.outboundPort });
  using reader = await open();
  await reader.write(new TextEncoder().encode("GET /large HTTP/1.1\r\nHost: a\r\n\r\n"));
  await until(() => filled.length === 1, "the application is held up");
  await ask(mesh, /^HTTP\/1\.1 200 [^]*ok$/);
  // Now it reads, and the application's bytes arrive.
  const buffer = new Uint8Array(1024 * 1024);
  for (let received = 0; received < filled[0];) received += await reader.read(buffer) ?? assert.fail("an end");
  assert.equal(mesh.proxy.clusterCounter(ClusterSlot.connections), 1);
  assert.equal(mesh.proxy.clusterCounter(ClusterSlot.inProcessConnections), 1);
});

Deno.test("in process: a drain lets what is in flight finish", async () => {
  let answerNow = () => {};
  const mayAnswer = new Promise<void>((resolve) => answerNow = resolve);
  const mesh = await Mesh.start(async () => (await mayAnswer, new Response("whole")), { way: "in process" });
  const asked = ask(mesh, /^HTTP\/1\.1 200 [^]*whole$/);
  await until(() => mesh.backend.requests === 1, "the request");
  const drained = mesh.proxy.threads.drain(30_000);
  answerNow();
  await asked;
  await drained;
  await mesh[Symbol.asyncDispose]();
});

Deno.test("in process: connections hold no descriptor, and end with their configuration", async () => {
  const descriptors = () => [...Deno.readDirSync("/proc/self/fd")].length;
  await using mesh = await Mesh.start(echo, { way: "in process", workers: 2 });
  const before = descriptors();
  await Promise.all(Array.from({ length: 40 }, () => ask(mesh, /^HTTP\/1\.1 200 /)));
  // Those to the application are kept for its next request.
  const application = mesh.proxy.clusterCounter(ClusterSlot.activeConnections, "inbound|9080||");
  await until(() => descriptors() <= before + 2 * application, () => `${descriptors()} descriptors, ${before} before`);
  const { proxy } = mesh;
  assert.equal(
    proxy.clusterCounter(ClusterSlot.inProcessConnections),
    proxy.clusterCounter(ClusterSlot.connections),
  );
  await proxy.update({ proxy: "productpage", endpoints: [endpoints("backend", [])] });
  await until(() => proxy.clusterCounter(ClusterSlot.activeConnections) === 0, "the end of all connections");
  await ask(mesh, /^HTTP\/1\.1 503 /);
});

for (const testCase of cases) {
  Deno.test(`in process as over the wire: ${testCase.name}`, async () => {
    assert.deepEqual(await outcomeOf(testCase, "in process"), await outcomeOf(testCase, "over the wire"));
  });
}
