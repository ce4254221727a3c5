/** Policies that change, and the connections that are there already. */
import assert from "node:assert/strict";
import { translateListener } from "../../agent/config/translate/listener.ts";
import { compileProxy } from "../../routing/compile/proxy.ts";
import { mesh, node } from "../../routing/compile/testing/mesh.ts";
import {
  Backend,
  cluster,
  connectionManager,
  endpoint,
  endpoints,
  filterChain,
  freePort,
  listener,
  rawExchange,
  route,
  routes,
  TestProxy,
} from "./harness.ts";
import { Http2Peer } from "./http2_peer.ts";
import { RawConnection, until } from "./raw_sockets.ts";
import { type Caller, SecuredWorkload } from "./secured_workload.ts";
import { echo, readExactly, TcpServer } from "./tcp_peers.ts";

const productpage: Caller = { serviceAccount: "bookinfo-productpage" };
const ratings: Caller = { serviceAccount: "bookinfo-ratings" };

const allowProductpage = `
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: { name: guard }
spec: { rules: [ { from: [ { source: { principals: [ cluster.local/ns/default/sa/bookinfo-productpage ] } } ] } ] }
`;
const denyStream = `
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: { name: guard }
spec: { action: DENY, rules: [ { to: [ { operation: { paths: [ /stream ] } } ], when: [ { key: "request.headers[x-kind]", values: [ watch ] } ] } ] }
`;
const strict = `
apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: { name: default }
spec: { mtls: { mode: STRICT } }
`;
const disable = strict.replace("STRICT", "DISABLE");

/** Answers `/stream` with a body that never ends. */
function streaming(request: Request): Response {
  if (new URL(request.url).pathname !== "/stream") return new Response("ok");
  const body = new ReadableStream({ start: (controller) => controller.enqueue(new TextEncoder().encode("first")) });
  return new Response(body);
}

/** Fails when it takes longer than the promised second. */
async function withinASecond<Result>(what: string, work: Promise<Result>): Promise<Result> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`${what}: not within a second`)), 1000);
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}

Deno.test("a policy change ends a stream that it does not allow any more, and leaves the others alone", async () => {
  await using secured = await SecuredWorkload.start("", { handler: streaming });
  const asRatings = await secured.connectAs(ratings, "h2");
  using peer = await Http2Peer.connect(asRatings);
  const head = (path: string, kind: string): [string, string][] => [
    [":method", "GET"],
    [":scheme", "http"],
    [":path", path],
    [":authority", "reviews"],
    ["x-kind", kind],
  ];
  const watch = await peer.open(head("/stream", "watch"));
  const other = await peer.open(head("/stream", "other"));
  await watch.head();
  await other.head();
  assert.equal(watch.status, 200);
  // Judged by the head that the application was sent.
  await secured.apply(denyStream);
  await withinASecond("the stream ends", watch.end());
  assert.notEqual(watch.reset, null);
  assert.equal(other.over, false);
  assert.equal((await peer.exchange(head("/", "watch"))).status, 200, "the connection goes on");
  assert.equal((await peer.exchange(head("/stream", "watch"))).status, 403);
  await secured.apply(allowProductpage);
  await withinASecond("the other stream ends", other.end());
  assert.equal((await peer.exchange(head("/", "x"))).status, 403);
});

Deno.test("a policy change reaches a kept HTTP/1.1 connection, its streams and its next requests", async () => {
  await using secured = await SecuredWorkload.start("", { handler: streaming });
  const port = await secured.connectAs(ratings, "http/1.1");
  using idle = await RawConnection.connect(port);
  using busy = await RawConnection.connect(port);
  await idle.send("GET / HTTP/1.1\r\nHost: reviews\r\n\r\n");
  await idle.until(/ok/);
  await busy.send("GET /stream HTTP/1.1\r\nHost: reviews\r\nx-kind: watch\r\n\r\n");
  await busy.until(/first/);
  await secured.apply(denyStream);
  await withinASecond("the stream is cut off", busy.end());
  await idle.send("GET /stream HTTP/1.1\r\nHost: reviews\r\nx-kind: watch\r\n\r\n");
  await idle.until(/403 Forbidden/);
});

Deno.test("STRICT closes plaintext connections within a second and takes no new ones; mutual TLS goes on", async () => {
  await using secured = await SecuredWorkload.start("", { handler: streaming });
  using plain = await RawConnection.connect(secured.ownPort);
  await plain.send("GET / HTTP/1.1\r\nHost: reviews\r\n\r\n");
  await plain.until(/ok/);
  using mutual = await RawConnection.connect(await secured.connectAs(productpage, "http/1.1", secured.ownPort));
  // Offers no ALPN of the mesh: on a PERMISSIVE port that is the application's own TLS, which no chain takes.
  using inMesh = await RawConnection.connect(await secured.connectAs(productpage, "http/1.1"));
  await inMesh.send("GET / HTTP/1.1\r\nHost: reviews\r\n\r\n");
  await inMesh.until(/ok/);
  await secured.apply(strict);
  await withinASecond("the plaintext connection ends", plain.end());
  assert.equal(await secured.status(null, "h1", "/"), 0);
  await inMesh.send("GET / HTTP/1.1\r\nHost: reviews\r\n\r\n");
  await inMesh.until(/ok[^]*ok/);
  using own = await RawConnection.connect(await secured.connectAs(productpage, "http/1.1", secured.ownPort));
  await own.send("GET / HTTP/1.1\r\nHost: reviews\r\n\r\n");
  await own.until(/ok/);
  await mutual.end();
});

Deno.test("a PERMISSIVE port takes plaintext and the mesh's mutual TLS, a DISABLEd one plaintext alone", async () => {
  await using secured = await SecuredWorkload.start("");
  const viaOwnPort = async (alpn: string) => {
    using connection = await RawConnection.connect(await secured.connectAs(productpage, alpn, secured.ownPort));
    await connection.send("GET / HTTP/1.1\r\nHost: reviews\r\nConnection: close\r\n\r\n");
    return await connection.end();
  };
  assert.match(await viaOwnPort("istio,http/1.1"), /sa\/bookinfo-productpage/);
  assert.equal(await secured.status(null, "h1", "/"), 200);
  await secured.apply(disable);
  assert.equal(await viaOwnPort("istio,http/1.1"), "");
  assert.equal(await secured.status(productpage, "h1", "/"), 0, "on the agent's inbound port");
  assert.equal(await secured.status(null, "h1", "/"), 200);
});

Deno.test("connections of a TCP service are judged before their first byte, and again when policy changes", async () => {
  await using server = new TcpServer(echo);
  await using secured = await SecuredWorkload.start(allowProductpage, { protocol: "TCP", target: server.port });
  const open = async (caller: Caller) => {
    const connection = await Deno.connect({ hostname: "127.0.0.1", port: await secured.connectAs(caller, "istio") });
    await connection.write(new TextEncoder().encode("hello"));
    return connection;
  };
  using allowed = await open(productpage);
  assert.equal(new TextDecoder().decode(await readExactly(allowed, 5)), "hello");
  using refused = await open(ratings);
  assert.equal(await refused.read(new Uint8Array(5)).catch(() => null), null);
  using outsider = await Deno.connect({ hostname: "127.0.0.1", port: secured.ownPort });
  assert.equal(await outsider.read(new Uint8Array(5)).catch(() => null), null);
  await secured.apply(allowProductpage.replace("sa/bookinfo-productpage", "sa/bookinfo-ratings"));
  const end = allowed.read(new Uint8Array(5)).catch(() => null);
  assert.equal(await withinASecond("the connection ends", end), null);
});

Deno.test("on a TCP port a rule with fields of HTTP allows nothing, and one that denies does so without them", async () => {
  await using server = new TcpServer(echo);
  const rule = (action: string, port: string) => `
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: { name: guard }
spec: { action: ${action}, rules: [ { to: [ { operation: { methods: [ GET ]${port} } } ] } ] }
`;
  await using secured = await SecuredWorkload.start("", { protocol: "TCP", target: server.port });
  const answers = async () => {
    using connection = await Deno.connect({ hostname: "127.0.0.1", port: secured.ownPort });
    await connection.write(new TextEncoder().encode("x")).catch(() => {});
    return await connection.read(new Uint8Array(1)).catch(() => null) === 1;
  };
  assert.equal(await answers(), true);
  await secured.apply(rule("ALLOW", ""));
  assert.equal(await answers(), false);
  await secured.apply(rule("DENY", ""));
  assert.equal(await answers(), false);
  await secured.apply(rule("DENY", ', ports: [ "1" ]'));
  assert.equal(await answers(), true);
});

Deno.test("a policy for a gateway is compiled into all of its listeners", () => {
  const rules = `
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: { name: edge }
spec:
  selector: { istio: ingressgateway }
  servers:
    - { port: { number: 8080, name: http, protocol: HTTP }, hosts: [ "*" ] }
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: { name: edge }
spec: { selector: { matchLabels: { istio: ingressgateway } }, action: DENY, rules: [ { from: [ { source: { remoteIpBlocks: [ 10.0.0.0/8 ] } } ] } ] }
`;
  const gateway = node({ type: "router", labels: { istio: "ingressgateway" }, ports: [], httpProxy: null });
  const [listener] = compileProxy(mesh([], rules), gateway).listeners.values();
  const [chain] = translateListener(listener).listener.filterChains;
  assert.deepEqual(chain.authorization?.map(({ rules }) => rules?.policies.map(({ name }) => name)), [
    ["ns[default]-policy[edge]-rule[0]"],
  ]);
});

Deno.test("source.ip is who is connected, remote.ip whom the PROXY protocol tells", async () => {
  const backend = new Backend(() => new Response("ok"));
  const port = freePort();
  const statuses: string[] = [];
  for (const kind of ["peerAddress", "remoteAddress"] as const) {
    const condition = { kind, range: { address: "203.0.113.0", length: 24 } };
    const rules = { action: "ALLOW" as const, policies: [{ name: "p", condition }] };
    await using _proxy = await TestProxy.start({
      clusters: [cluster()],
      endpoints: [endpoints("backend", [endpoint(backend.port)])],
      routes: [routes([route()])],
      listeners: [
        listener(port, {
          filterChains: [
            filterChain({
              http: connectionManager({ useRemoteAddress: true }),
              authorization: [{ rules, shadow: null }],
            }),
          ],
          proxyProtocol: { allowRequestsWithoutProxyProtocol: false },
        }),
      ],
    });
    const get = "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
    const answer = await rawExchange(port, `PROXY TCP4 203.0.113.9 10.0.0.1 4711 80\r\n${get}`);
    statuses.push(answer.split(" ")[1]);
  }
  assert.deepEqual(statuses, ["403", "200"]);
  await backend[Symbol.asyncDispose]();
});

Deno.test("the access log tells which policy has refused a request or a connection", async () => {
  const directory = await Deno.makeTempDir();
  const log = `${directory}/log`;
  const format = "%RESPONSE_CODE% %RESPONSE_FLAGS% %RESPONSE_CODE_DETAILS% %CONNECTION_TERMINATION_DETAILS%";
  const meshYaml = `accessLogFile: ${log}\naccessLogFormat: "${format}\\n"\n`;
  const lines = async () => (await Deno.readTextFile(log).catch(() => "")).trim().split("\n");
  const line = (expected: string) =>
    until(async () => (await lines()).includes(expected), () => `${expected} in the log`);
  {
    await using secured = await SecuredWorkload.start(allowProductpage, { meshYaml });
    assert.equal(await secured.status(ratings, "h2", "/"), 403);
    await line("403 - rbac_access_denied_matched_policy[none] -");
    await secured.apply(
      denyStream.replace("paths: [ /stream ]", 'paths: [ "*" ]').replace(/, when: .* \] \} \]/, " } ]"),
    );
    assert.equal(await secured.status(ratings, "h1", "/"), 403);
    await line("403 - rbac_access_denied_matched_policy[ns[default]-policy[guard]-rule[0]] -");
  }
  await using server = new TcpServer(echo);
  await using secured = await SecuredWorkload.start(allowProductpage, {
    meshYaml,
    protocol: "TCP",
    target: server.port,
  });
  using outsider = await Deno.connect({ hostname: "127.0.0.1", port: secured.ownPort });
  assert.equal(await outsider.read(new Uint8Array(5)).catch(() => null), null);
  await line("0 - - rbac_access_denied_matched_policy[none]");
  await Deno.remove(directory, { recursive: true });
});
