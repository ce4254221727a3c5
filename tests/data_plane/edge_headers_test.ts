import assert from "node:assert/strict";
import type { JsonObject } from "@bufbuild/protobuf";
import type { HttpConnectionManagerConfig } from "../../agent/config/model.ts";
import { Authority } from "../../ca/authority/authority.ts";
import { managerSetup, meshSetup, toBackend } from "./configured.ts";
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
import { identity, setSecrets } from "./mesh.ts";

type Headers = Record<string, string>;

/** What an application sees of requests that come through a connection manager. */
async function seen(manager: JsonObject, requests: Headers[]): Promise<{ request: Headers; response: string }[]> {
  await using backend = new Backend((request) => Response.json(Object.fromEntries(request.headers)));
  const { port, setup } = managerSetup(manager, [toBackend], { backend: [backend.port] });
  await using _ = await TestProxy.start(setup);
  const result: { request: Headers; response: string }[] = [];
  for (const headers of requests) {
    const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`).join("");
    const text = await rawExchange(port, `GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n${lines}\r\n`, 2000);
    const [response, body] = text.split("\r\n\r\n");
    result.push({ request: JSON.parse(body), response });
  }
  return result;
}

const told: Headers = {
  "x-forwarded-for": "9.9.9.9",
  "x-forwarded-proto": "https",
  "x-request-id": "mine",
  "x-envoy-internal": "true",
  "x-envoy-external-address": "8.8.8.8",
  "x-envoy-retry-on": "5xx",
  "x-envoy-force-trace": "true",
  "x-envoy-decorator-operation": "op",
  "x-envoy-original-path": "/secret",
  "x-other": "kept",
};
const uuid = /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;

Deno.test("at the edge nothing that a caller says of itself counts", async () => {
  const [{ request }, { request: silent }] = await seen({ useRemoteAddress: true }, [told, {}]);
  assert.equal(request["x-forwarded-for"], "9.9.9.9,127.0.0.1");
  assert.equal(request["x-forwarded-proto"], "http");
  assert.match(request["x-request-id"], uuid);
  assert.equal(request["x-envoy-external-address"], "127.0.0.1");
  assert.equal(request["x-other"], "kept");
  const own = Object.keys(request).filter((name) => name.startsWith("x-envoy-"));
  assert.deepEqual(own.sort(), ["x-envoy-expected-rq-timeout-ms", "x-envoy-external-address"]);
  assert.equal(silent["x-forwarded-for"], "127.0.0.1");
  assert.equal(silent["x-envoy-internal"], undefined);
});

Deno.test("inside the mesh headers pass, but for what only internal callers may ask for", async () => {
  const [{ request }] = await seen({ useRemoteAddress: false }, [told]);
  assert.equal(request["x-forwarded-for"], "9.9.9.9");
  assert.equal(request["x-forwarded-proto"], "https");
  assert.equal(request["x-request-id"], "mine");
  assert.equal(request["x-envoy-external-address"], "8.8.8.8");
  assert.equal(request["x-envoy-decorator-operation"], "op");
  assert.equal(request["x-envoy-retry-on"], undefined);
  assert.equal(request["x-envoy-internal"], undefined);
});

Deno.test("a request id is made where there is none, and told in the response where that is asked for", async () => {
  const [{ request, response }] = await seen({ alwaysSetRequestIdInResponse: true }, [{}]);
  assert.match(request["x-request-id"], uuid);
  assert.ok(response.includes(`\r\nx-request-id: ${request["x-request-id"]}\r\n`));
  const [kept] = await seen({ useRemoteAddress: true, preserveExternalRequestId: true }, [told]);
  assert.equal(kept.request["x-request-id"], "mine");
  const [none] = await seen({ generateRequestId: false }, [{}]);
  assert.equal(none.request["x-request-id"], undefined);
});

Deno.test("with trusted proxies in front the client is whom they say, counted from the end", async () => {
  const cases: [hops: number, forwardedFor: string, external: string][] = [
    [1, "1.1.1.1, 2.2.2.2", "2.2.2.2"],
    [2, "1.1.1.1, 2.2.2.2", "1.1.1.1"],
    [3, "1.1.1.1, 2.2.2.2", "127.0.0.1"],
    [1, "1.1.1.1, no address", "127.0.0.1"],
    [1, "2001:db8::1", "2001:db8::1"],
  ];
  for (const [hops, forwardedFor, external] of cases) {
    const [{ request }] = await seen({ useRemoteAddress: true, xffNumTrustedHops: hops }, [
      { "x-forwarded-for": forwardedFor, "x-forwarded-proto": "https" },
    ]);
    assert.equal(request["x-envoy-external-address"], external, `${hops} of ${forwardedFor}`);
    assert.equal(request["x-forwarded-for"], `${forwardedFor},127.0.0.1`);
    assert.equal(request["x-forwarded-proto"], "https");
  }
});

Deno.test("several x-forwarded-for lines become one; none is added where that is switched off", async () => {
  await using backend = new Backend(() => new Response());
  const raw = async (manager: JsonObject) => {
    const heads: string[] = [];
    const server = Deno.listen({ hostname: "127.0.0.1", port: 0 });
    const { port, setup } = managerSetup(manager, [toBackend], { backend: [(server.addr as Deno.NetAddr).port] });
    await using _ = await TestProxy.start(setup);
    const asked = rawExchange(
      port,
      "GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 1.1.1.1\r\nX-A: b\r\nX-Forwarded-For: 2.2.2.2\r\nConnection: close\r\n\r\n",
      2000,
    );
    const connection = await server.accept();
    const buffer = new Uint8Array(4096);
    heads.push(new TextDecoder().decode(buffer.subarray(0, await connection.read(buffer) ?? 0)));
    await connection.write(new TextEncoder().encode("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"));
    await asked;
    connection.close();
    server.close();
    return heads[0].split("\r\n").filter((line) => line.startsWith("x-forwarded-for"));
  };
  assert.deepEqual(await raw({ useRemoteAddress: true }), ["x-forwarded-for: 1.1.1.1,2.2.2.2,127.0.0.1"]);
  assert.deepEqual(await raw({ useRemoteAddress: true, skipXffAppend: true }), [
    "x-forwarded-for: 1.1.1.1",
    "x-forwarded-for: 2.2.2.2",
  ]);
  assert.equal(backend.requests, 0);
});

Deno.test("callers in the listed ranges are internal: they may say x-envoy-…, and the application is told", async () => {
  const manager = {
    useRemoteAddress: true,
    internalAddressConfig: { cidrRanges: [{ addressPrefix: "127.0.0.0", prefixLen: 8 }] },
  };
  const { "x-forwarded-for": _, ...direct } = told;
  const [{ request }, { request: behind }] = await seen(manager, [direct, told]);
  assert.equal(request["x-envoy-internal"], "true");
  assert.equal(request["x-envoy-force-trace"], "true");
  // This is for the proxy itself.
  assert.equal(request["x-envoy-retry-on"], undefined);
  assert.equal(request["x-request-id"], "mine");
  // Whoever speaks for somebody else is not internal, wherever it stands.
  assert.equal(behind["x-envoy-internal"], undefined);
  assert.equal(behind["x-envoy-force-trace"], undefined);
});

Deno.test("via is appended to in both directions", async () => {
  const [{ request, response }] = await seen({ via: "skiff" }, [{ via: "1.1 other" }]);
  assert.equal(request.via, "1.1 other, skiff");
  assert.match(response, /\r\nvia: skiff\r\n/);
});

Deno.test("attempts are counted in requests and responses where the virtual host says so", async () => {
  const counts: (string | null)[] = [];
  await using backend = new Backend((request) => {
    counts.push(request.headers.get("x-envoy-attempt-count"));
    return new Response(null, { status: counts.length < 3 ? 503 : 200 });
  });
  const retried: JsonObject = {
    ...toBackend,
    route: { cluster: "backend", retryPolicy: { retryOn: "5xx", numRetries: 5 } },
  };
  const { port, setup } = managerSetup({}, [retried], { backend: [backend.port] }, {
    includeRequestAttemptCount: true,
    includeAttemptCountInResponse: true,
  });
  await using _ = await TestProxy.start(setup);
  const response = await fetch(`http://127.0.0.1:${port}/`, { headers: { "x-envoy-attempt-count": "77" } });
  assert.equal(response.status, 200);
  assert.deepEqual(counts, ["1", "2", "3"]);
  assert.equal(response.headers.get("x-envoy-attempt-count"), "3");
});

Deno.test("what the control plane compiles counts attempts in requests", async () => {
  await using backend = new Backend((request) => new Response(request.headers.get("x-envoy-attempt-count")));
  const { port, setup } = meshSetup("", { reviews: backend.port });
  await using _ = await TestProxy.start(setup);
  const text = await rawExchange(port, "GET / HTTP/1.1\r\nHost: reviews:9080\r\nConnection: close\r\n\r\n", 2000);
  assert.match(text, /\r\n\r\n1$/);
});

/** What an application sees as x-forwarded-client-cert of a caller with a certificate of the mesh. */
async function clientCert(http: Partial<HttpConnectionManagerConfig>, received = ""): Promise<string> {
  const directory = await Deno.makeTempDir();
  try {
    const authority = await Authority.open({ dataDir: directory, trustDomain: "cluster.local" });
    const server = await identity(authority, "reviews");
    const client = await identity(authority, "productpage");
    await Deno.writeTextFile(`${directory}/cert.pem`, client.certificateChain);
    await Deno.writeTextFile(`${directory}/key.pem`, client.privateKey);
    await using backend = new Backend((request) => new Response(request.headers.get("x-forwarded-client-cert")));
    const port = freePort();
    const tls = {
      certificate: "default",
      trustBundle: "ROOTCA",
      requireClientCertificate: true,
      alpn: ["http/1.1"],
      minimumVersion: "1.3",
    } as const;
    await using proxy = await TestProxy.start({ proxy: "reviews", principal: server.principal });
    await setSecrets(proxy, "reviews", server, authority.trustBundle());
    await proxy.update({
      proxy: "reviews",
      clusters: [cluster()],
      endpoints: [endpoints("backend", [endpoint(backend.port)])],
      routes: [routes([route()])],
      listeners: [listener(port, {
        direction: "inbound",
        filterChains: [filterChain({ tls: { ...tls, alpn: [...tls.alpn] }, http: connectionManager(http) })],
      })],
    });
    const openssl = new Deno.Command("openssl", {
      args: ["s_client", "-quiet", "-connect", `127.0.0.1:${port}`, "-cert", "cert.pem", "-cert_chain", "cert.pem"]
        .concat(["-key", "key.pem"]),
      cwd: directory,
      stdin: "piped",
      stdout: "piped",
      stderr: "null",
    }).spawn();
    const writer = openssl.stdin.getWriter();
    const header = received === "" ? "" : `X-Forwarded-Client-Cert: ${received}\r\n`;
    await writer.write(new TextEncoder().encode(`GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n${header}\r\n`));
    const { stdout } = await openssl.output();
    writer.close().catch(() => {});
    return new TextDecoder().decode(stdout).split("\r\n\r\n")[1];
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
}

const by = "By=spiffe://cluster.local/ns/default/sa/reviews;Hash=[0-9a-f]{64}";
const uri = "URI=spiffe://cluster.local/ns/default/sa/productpage";
const forged = "URI=spiffe://cluster.local/ns/default/sa/admin";

Deno.test("x-forwarded-client-cert follows its mode, whatever the caller says", async () => {
  const mode = (forwardClientCertDetails: HttpConnectionManagerConfig["forwardClientCertDetails"]) =>
    clientCert({ forwardClientCertDetails }, forged);
  assert.equal(await mode("SANITIZE"), "");
  assert.equal(await mode("FORWARD_ONLY"), forged);
  assert.equal(await mode("ALWAYS_FORWARD_ONLY"), forged);
  assert.match(await mode("APPEND_FORWARD"), new RegExp(`^${forged},${by};Subject="";${uri}$`));
  assert.match(await mode("SANITIZE_SET"), new RegExp(`^${by};Subject="";${uri}$`));
});

Deno.test("x-forwarded-client-cert tells what is asked for, the certificate and its chain included", async () => {
  const none = { subject: false, cert: false, chain: false, dns: false, uri: false };
  const details = (changes: Partial<typeof none>) =>
    clientCert({ forwardClientCertDetails: "SANITIZE_SET", clientCertDetails: { ...none, ...changes } });
  assert.match(await details({}), new RegExp(`^${by}$`));
  const value = await details({ cert: true, chain: true });
  const match = new RegExp(`^${by};Cert="([^"]*)";Chain="([^"]*)"$`).exec(value)!;
  const [, certificate, chain] = match.map(decodeURIComponent);
  assert.match(certificate, /^-----BEGIN CERTIFICATE-----\n([A-Za-z0-9+/=]{1,64}\n)+-----END CERTIFICATE-----\n$/);
  assert.ok(chain.startsWith(certificate));
});
