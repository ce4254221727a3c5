/** Gateways: what comes from outside, through every kind of server, as Istio's YAML says. */
import assert from "node:assert/strict";
import { CompiledGateway, gatewayYaml, server, serverOn, toWeb } from "./compiled_gateway.ts";
import { Backend, freePort, rawExchange } from "./harness.ts";
import { data, headers, Http2Backend, Http2Peer, request } from "./http2_peer.ts";
import { echo, TcpServer, until } from "./tcp_peers.ts";
import { client, TestRoot } from "./tls_certificates.ts";

/** A backend that answers with the headers it got. */
const showing = () => new Backend((request) => Response.json(Object.fromEntries(request.headers)));

async function get(url: string, headers: Record<string, string> = {}) {
  const response = await fetch(url, { headers, redirect: "manual" });
  return { status: response.status, body: await response.text(), location: response.headers.get("location") };
}

/** One HTTP/1.1 request over TLS: the answer with what the client says of the connection. */
function askTls(root: TestRoot, port: number, host: string, ...args: string[]): Promise<string> {
  const text = `GET / HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`;
  return client(root, port, ["-servername", host, "-quiet", ...args], text, /^HTTP\/1\.1 \d+[^]*\r\n\r\n[^]+/m);
}

/** Puts a new certificate for the name into a credential. */
async function credential(root: TestRoot, folder: string, name: string): Promise<void> {
  const { certificate, privateKey } = await root.issue(name, `DNS:${name}`);
  const target = `${root.directory}/credentials/${folder}`;
  await Deno.mkdir(target, { recursive: true });
  for (const [file, content] of [["tls.key", privateKey], ["tls.crt", certificate], ["ca.crt", root.certificate]]) {
    await Deno.writeTextFile(`${target}/${file}.new`, content);
    await Deno.rename(`${target}/${file}.new`, `${target}/${file}`);
  }
}

/** Who shows the certificate at this port. */
async function subject(root: TestRoot, port: number, serverName: string): Promise<string> {
  return /subject=CN ?= ?(.*)/.exec(await client(root, port, ["-servername", serverName]))?.[1] ?? "refused";
}

Deno.test("plain HTTP reaches a service by the rules, and callers' words about themselves do not count", async () => {
  await using backend = showing();
  const { port, yaml } = server("HTTP");
  const rule = `http: [{ match: [{ uri: { prefix: /shop } }], ${toWeb} }]`;
  await using gateway = await CompiledGateway.start(gatewayYaml([yaml], rule), { web: backend });
  const url = `http://127.0.0.1:${port}`;
  const { status, body } = await get(`${url}/shop`, {
    "x-forwarded-for": "9.9.9.9",
    "x-forwarded-proto": "https",
    "x-forwarded-client-cert": "By=spiffe://evil",
    "x-envoy-retry-on": "5xx",
  });
  assert.equal(status, 200);
  const seen = JSON.parse(body);
  assert.equal(seen["x-forwarded-for"], "9.9.9.9,127.0.0.1");
  assert.equal(seen["x-forwarded-proto"], "http");
  assert.equal(seen["x-forwarded-client-cert"], undefined);
  assert.equal(seen["x-envoy-retry-on"], undefined);
  assert.equal(seen["x-envoy-external-address"], "127.0.0.1");
  assert.equal((await get(`${url}/other`)).status, 404);
  assert.equal(gateway.proxy.recorded()["404 NR"], 1);
});

Deno.test("behind trusted proxies the client's address and scheme are theirs to tell", async () => {
  await using backend = showing();
  const { port, yaml } = server("HTTP", "httpsRedirect: true");
  await using _ = await CompiledGateway.start(gatewayYaml([yaml], `http: [{ ${toWeb} }]`), { web: backend }, {
    settings: { gatewayTopology: { numTrustedProxies: 1 } },
  });
  const told = { "x-forwarded-for": "9.9.9.9", "x-forwarded-proto": "https" };
  const { status, body } = await get(`http://127.0.0.1:${port}/`, told);
  assert.equal(status, 200);
  assert.equal(JSON.parse(body)["x-envoy-external-address"], "9.9.9.9");
  const plain = await get(`http://127.0.0.1:${port}/`, { ...told, "x-forwarded-proto": "http" });
  assert.equal(plain.status, 301);
});

Deno.test("httpsRedirect sends every plain request to https, whatever its port, and nothing to the service", async () => {
  await using backend = showing();
  const { port, yaml } = server("HTTP", "httpsRedirect: true", "shop.example");
  await using _ = await CompiledGateway.start(gatewayYaml([yaml], `http: [{ ${toWeb} }]`), { web: backend });
  for (const host of ["shop.example", `SHOP.example:${port}`]) {
    const said = await rawExchange(port, `GET /a?b HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`);
    assert.match(said, /^HTTP\/1\.1 301/);
    assert.equal(/^location: (.*)\r$/mi.exec(said)?.[1], `https://${host.toLowerCase()}/a?b`);
  }
  const other = await rawExchange(port, "GET / HTTP/1.1\r\nHost: other.example\r\nConnection: close\r\n\r\n");
  assert.match(other, /^HTTP\/1\.1 404/);
  assert.equal(backend.requests, 0);
});

Deno.test("HTTPS is served by server name, each with its certificate, and a certificate is replaced while running", async () => {
  await using root = await TestRoot.make();
  await using backend = showing();
  await credential(root, "shop", "shop.example");
  await credential(root, "bank", "bank.example");
  const port = freePort();
  const servers = [
    serverOn(port, "HTTPS", "mode: SIMPLE, credentialName: shop", "shop.example"),
    serverOn(port, "HTTPS", "mode: MUTUAL, credentialName: bank, subjectAltNames: [teller]", "bank.example"),
  ];
  const options = { credentials: `${root.directory}/credentials` };
  const yaml = gatewayYaml(servers, `http: [{ ${toWeb} }]`);
  await using _ = await CompiledGateway.start(yaml, { web: backend }, options);

  const shop = await askTls(root, port, "shop.example");
  assert.match(shop, /^HTTP\/1\.1 200/m);
  assert.match(shop, /"x-forwarded-proto":"https"/);
  assert.equal(await subject(root, port, "bank.example"), "bank.example");
  assert.equal(await subject(root, port, "other.example"), "refused");
  // The authority decides the route, and one server's routes are not the other's.
  const across = `GET / HTTP/1.1\r\nHost: bank.example\r\nConnection: close\r\n\r\n`;
  const answered = await client(root, port, ["-servername", "shop.example", "-quiet"], across, /\r\n\r\n/);
  assert.match(answered, /^HTTP\/1\.1 404/m);

  assert.doesNotMatch(await askTls(root, port, "bank.example"), /^HTTP/m);
  for (const [name, expected] of [["teller", true], ["thief", false]] as const) {
    await root.issue(name, `DNS:${name}`);
    const said = await askTls(root, port, "bank.example", "-cert", `${name}.pem`, "-key", `${name}.key`);
    assert.equal(/^HTTP\/1\.1 200/m.test(said), expected, name);
    if (expected) assert.match(said, /"x-forwarded-client-cert":"By=.*;DNS=teller/);
  }

  await credential(root, "shop", "new.shop.example");
  await until(async () => await subject(root, port, "shop.example") === "new.shop.example", "the new certificate");
});

Deno.test("TLS passes through to the service that the server name says, with its own certificate", async () => {
  await using root = await TestRoot.make();
  const names = ["a.example", "b.example"];
  const backends = await Promise.all(names.map(async (name) => {
    const { certificate: cert, privateKey: key } = await root.issue(name, `DNS:${name}`);
    return Deno.serve({ port: 0, hostname: "127.0.0.1", cert, key, onListen: () => {} }, () => new Response(name));
  }));
  const { port, yaml } = server("TLS", "mode: PASSTHROUGH");
  const routes = names.map((name, index) =>
    `{ match: [{ sniHosts: [${name}] }], route: [{ destination: { host: backend${index} } }] }`
  );
  const services = Object.fromEntries(
    backends.map(({ addr }, index) => [`backend${index}`, { port: addr.port, protocol: "TLS" as const }]),
  );
  await using _ = await CompiledGateway.start(gatewayYaml([yaml], `tls: [${routes}]`), services);
  for (const name of names) {
    assert.match(await askTls(root, port, name), new RegExp(`^${name}`, "m"));
    assert.equal(await subject(root, port, name), name);
  }
  assert.equal(await subject(root, port, "c.example"), "refused");
  await Promise.all(backends.map((backend) => backend.shutdown()));
});

Deno.test("TCP is relayed, with TLS that ends at the gateway or without", async () => {
  await using root = await TestRoot.make();
  await using backend = new TcpServer(echo);
  await credential(root, "db", "db.example");
  const plain = server("TCP");
  const secured = server("TLS", "mode: SIMPLE, credentialName: db", "db.example");
  const yaml = gatewayYaml([plain.yaml, secured.yaml], "tcp: [{ route: [{ destination: { host: db } }] }]");
  await using _ = await CompiledGateway.start(yaml, { db: { port: backend.port, protocol: "TCP" } }, {
    credentials: `${root.directory}/credentials`,
  });
  using connection = await Deno.connect({ hostname: "127.0.0.1", port: plain.port });
  await connection.write(new TextEncoder().encode("hello"));
  const buffer = new Uint8Array(10);
  assert.equal(new TextDecoder().decode(buffer.subarray(0, (await connection.read(buffer))!)), "hello");
  assert.match(await client(root, secured.port, ["-servername", "db.example"], "hello\n"), /^hello$/m);
});

Deno.test("HTTP/2 and gRPC come in as plain text and over TLS, and leave as HTTP/2", async () => {
  await using root = await TestRoot.make();
  using backend = new Http2Backend(async (message, peer) => {
    await peer.send(
      headers(message.stream, [[":status", "200"]], false),
      data(message.stream, "over h2", false),
      headers(message.stream, [["grpc-status", "0"]], true),
    );
  });
  await credential(root, "shop", "localhost");
  const plain = server("GRPC");
  const secured = server("HTTPS", "mode: SIMPLE, credentialName: shop");
  const yaml = gatewayYaml([plain.yaml, secured.yaml], `http: [{ ${toWeb} }]`);
  await using _ = await CompiledGateway.start(yaml, { web: { port: backend.port, protocol: "GRPC" } }, {
    credentials: `${root.directory}/credentials`,
  });
  using peer = await Http2Peer.connect(plain.port);
  const call = request("/echo.Echo/Unary", "POST", ["content-type", "application/grpc"], ["te", "trailers"]);
  const message = await peer.exchange(call, new Uint8Array([0, 0, 0, 0, 0]));
  assert.deepEqual([message.status, message.text, message.trailers], [200, "over h2", [["grpc-status", "0"]]]);
  using secure = Deno.createHttpClient({ caCerts: [root.certificate], http1: false, http2: true });
  const response = await fetch(`https://localhost:${secured.port}/`, { client: secure });
  assert.equal(await response.text(), "over h2");
});

Deno.test("a WebSocket goes through the gateway", async () => {
  await using backend = new Backend((request) => {
    const { socket, response } = Deno.upgradeWebSocket(request);
    socket.onmessage = ({ data }) => socket.send(`${data} back`);
    return response;
  });
  const { port, yaml } = server("HTTP");
  await using _ = await CompiledGateway.start(gatewayYaml([yaml], `http: [{ ${toWeb} }]`), { web: backend });
  const socket = new WebSocket(`ws://127.0.0.1:${port}/chat`);
  const said = await new Promise((resolve, reject) => {
    socket.onopen = () => socket.send("there and");
    socket.onmessage = ({ data }) => resolve(data);
    socket.onerror = (event) => reject(new Error((event as ErrorEvent).message));
  });
  assert.equal(said, "there and back");
  const closed = new Promise((resolve) => socket.onclose = resolve);
  socket.close();
  await closed;
});

Deno.test("an AuthorizationPolicy that selects the gateway is enforced there", async () => {
  await using backend = showing();
  const { port, yaml } = server("HTTP");
  const policy = `
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: { name: no-admin }
spec:
  selector: { matchLabels: { istio: ingressgateway } }
  action: DENY
  rules: [{ to: [{ operation: { paths: [/admin*] } }] }]
`;
  const text = gatewayYaml([yaml], `http: [{ ${toWeb} }]`) + policy;
  await using _ = await CompiledGateway.start(text, { web: backend });
  assert.equal((await get(`http://127.0.0.1:${port}/admin/users`)).status, 403);
  assert.equal((await get(`http://127.0.0.1:${port}/`)).status, 200);
  assert.equal(backend.requests, 1);
});
