import assert from "node:assert/strict";
import process from "node:process";
import type { DownstreamTlsConfig, FilterChainConfig } from "../../agent/config/model.ts";
import { Socket } from "../../agent/sys/socket.ts";
import {
  Backend,
  cluster,
  endpoint,
  endpoints,
  filterChain,
  freePort,
  listener,
  route,
  routes,
  TestProxy,
} from "./harness.ts";
import { type Certificate, client, TestRoot } from "./tls_certificates.ts";
import {
  bytes,
  close,
  connect,
  descriptors,
  echo,
  readAll,
  tcpChain,
  TcpServer,
  text,
  until,
  writeAll,
} from "./tcp_peers.ts";

function terminated(certificate: string, overrides: Partial<DownstreamTlsConfig> = {}): DownstreamTlsConfig {
  return {
    certificate,
    trustBundle: "",
    requireClientCertificate: false,
    alpn: [],
    minimumVersion: "1.2",
    ...overrides,
  };
}

async function setCertificate(proxy: TestProxy, name: string, { certificate, privateKey }: Certificate): Promise<void> {
  const secret = { name, certificateChain: certificate, privateKey, trustBundle: "" };
  await proxy.threads.apply({ kind: "secret", proxy: "client", secret });
}

async function setTrust(proxy: TestProxy, trustBundle: string): Promise<void> {
  const secret = { name: "trust", certificateChain: "", privateKey: "", trustBundle };
  await proxy.threads.apply({ kind: "secret", proxy: "client", secret });
}

/** A proxy with these chains before one echo server; certificates by name of the secret. */
async function start(
  backend: number,
  chains: FilterChainConfig[],
  certificates: Record<string, Certificate>,
  trust = "",
) {
  const port = freePort();
  const proxy = await TestProxy.start({});
  for (const [name, certificate] of Object.entries(certificates)) await setCertificate(proxy, name, certificate);
  if (trust !== "") await setTrust(proxy, trust);
  await proxy.update({
    clusters: [cluster()],
    endpoints: [endpoints("backend", [endpoint(backend)])],
    routes: [routes([route()])],
    listeners: [listener(port, { filterChains: chains })],
  });
  return { proxy, port };
}

Deno.test("each server name gets its certificate, a wildcard after exact names, any other name the last resort", async () => {
  await using root = await TestRoot.make();
  await using backend = new TcpServer(echo);
  const { proxy, port } = await start(backend.port, [
    tcpChain({}, { name: "a", serverNames: ["a.example"], tls: terminated("a") }),
    tcpChain({}, { name: "b", serverNames: ["*.example"], tls: terminated("b") }),
    tcpChain({}, { name: "c", transportProtocol: "tls", tls: terminated("c") }),
  ], {
    a: await root.issue("a", "DNS:a.example"),
    b: await root.issue("b", "DNS:*.example"),
    c: await root.issue("c", "DNS:other"),
  });
  await using _ = proxy;
  for (const [name, subject] of [["a.example", "a"], ["x.example", "b"], ["A.EXAMPLE", "a"], ["unknown", "c"]]) {
    const said = await client(root, port, ["-servername", name], "hello\n");
    assert.match(said, new RegExp(`subject=CN ?= ?${subject}\\n`), name);
    assert.match(said, /Verify return code: 0/);
    assert.match(said, /^hello$/m);
  }
});

Deno.test("a chain without TLS passes TLS through by its server name", async () => {
  await using root = await TestRoot.make();
  const { certificate, privateKey } = await root.issue("inner", "DNS:inner.example");
  await using inner = new Backend(() => new Response("unused"));
  const server = Deno.listenTls({ hostname: "127.0.0.1", port: 0, cert: certificate, key: privateKey });
  const serving = (async () => {
    const connection = await server.accept();
    await writeAll(connection, bytes("from inside\n"));
    close(connection);
  })();
  const port = freePort();
  await using _proxy = await TestProxy.start({
    clusters: [cluster(), cluster({ name: "other" })],
    endpoints: [
      endpoints("backend", [endpoint(server.addr.port)]),
      endpoints("other", [endpoint(inner.port)]),
    ],
    listeners: [
      listener(port, {
        filterChains: [
          tcpChain({}, { name: "inner", serverNames: ["inner.example"], transportProtocol: "tls" }),
          tcpChain({ clusters: [{ name: "other", weight: 1 }] }, { name: "plain", transportProtocol: "raw_buffer" }),
        ],
      }),
    ],
  });
  const said = await client(root, port, ["-servername", "inner.example"], "", /^from inside$/m);
  assert.match(said, /subject=CN ?= ?inner\n/);
  assert.match(said, /^from inside$/m);
  assert.doesNotMatch(await client(root, port, ["-servername", "nobody.example"]), /subject=/);
  await serving;
  server.close();
});

Deno.test("PERMISSIVE: TLS and plaintext on one port", async () => {
  await using root = await TestRoot.make();
  await using backend = new Backend(() => new Response("hello"));
  const { proxy, port } = await start(backend.port, [
    filterChain({ name: "tls", transportProtocol: "tls", tls: terminated("a") }),
    filterChain({ name: "plain", transportProtocol: "raw_buffer" }),
  ], { a: await root.issue("a", "DNS:a.example") });
  await using _ = proxy;
  assert.equal(await (await fetch(`http://127.0.0.1:${port}/`)).text(), "hello");
  const said = await client(root, port, ["-servername", "a.example"], "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
  assert.match(said, /hello/);
});

Deno.test("client certificates: required, optional, none", async () => {
  await using root = await TestRoot.make();
  await using stranger = await TestRoot.make();
  await using backend = new TcpServer(echo);
  const trust = { trustBundle: "trust" };
  const { proxy, port } = await start(
    backend.port,
    [
      tcpChain({}, {
        name: "r",
        serverNames: ["required"],
        tls: terminated("a", { ...trust, requireClientCertificate: true }),
      }),
      tcpChain({}, { name: "o", serverNames: ["optional"], tls: terminated("a", trust) }),
      tcpChain({}, { name: "n", serverNames: ["none"], tls: terminated("a") }),
    ],
    { a: await root.issue("a", "DNS:required,DNS:optional,DNS:none") },
    root.certificate,
  );
  await using _ = proxy;
  await root.issue("me", "URI:spiffe://cluster.local/ns/default/sa/me");
  await stranger.issue("me", "URI:spiffe://cluster.local/ns/default/sa/me");
  await Deno.copyFile(`${stranger.directory}/me.pem`, `${root.directory}/stranger.pem`);
  await Deno.copyFile(`${stranger.directory}/me.key`, `${root.directory}/stranger.key`);
  const works = async (name: string, who: string) => {
    const own = who === "" ? [] : ["-cert", `${who}.pem`, "-key", `${who}.key`];
    return /^hello$/m.test(await client(root, port, ["-servername", name, ...own], "hello\n"));
  };
  const outcomes: Record<string, boolean[]> = {};
  for (const name of ["required", "optional", "none"]) {
    outcomes[name] = [await works(name, "me"), await works(name, ""), await works(name, "stranger")];
  }
  assert.deepEqual(outcomes, {
    required: [true, false, false],
    // A certificate that is shown must be good.
    optional: [true, true, false],
    none: [true, true, true],
  });
});

Deno.test("versions of TLS outside the configured range are refused", async () => {
  await using root = await TestRoot.make();
  await using backend = new TcpServer(echo);
  const { proxy, port } = await start(backend.port, [
    tcpChain({}, { name: "a", serverNames: ["only12"], tls: terminated("a", { maximumVersion: "1.2" }) }),
    tcpChain({}, { name: "b", serverNames: ["only13"], tls: terminated("a", { minimumVersion: "1.3" }) }),
    tcpChain({}, { name: "c", serverNames: ["both"], tls: terminated("a") }),
  ], { a: await root.issue("a", "DNS:a") });
  await using _ = proxy;
  const works = async (name: string, version: string) =>
    /^hello$/m.test(await client(root, port, ["-servername", name, version], "hello\n"));
  const outcomes: boolean[] = [];
  for (const name of ["only12", "only13", "both"]) {
    outcomes.push(await works(name, "-tls1_2"), await works(name, "-tls1_3"));
  }
  assert.deepEqual(outcomes, [true, false, false, true, true, true]);
  assert.equal(await works("both", "-tls1_1"), false);
});

Deno.test("of the protocols that a client offers the server chooses by its own preference", async () => {
  await using root = await TestRoot.make();
  await using backend = new TcpServer(echo);
  const { proxy, port } = await start(backend.port, [
    tcpChain({}, { tls: terminated("a", { alpn: ["second", "first"] }) }),
  ], { a: await root.issue("a", "DNS:a") });
  await using _ = proxy;
  assert.match(await client(root, port, ["-alpn", "first,second"]), /ALPN protocol: second/);
  assert.match(await client(root, port, ["-alpn", "first,third"]), /ALPN protocol: first/);
  assert.match(await client(root, port, ["-alpn", "third"]), /no application protocol/);
  assert.match(await client(root, port, []), /No ALPN negotiated/);
});

for (const version of ["-tls1_2", "-tls1_3"]) {
  Deno.test(`a client resumes its session with ${version}, until certificates are replaced or it is switched off`, async () => {
    await using root = await TestRoot.make();
    await using backend = new TcpServer(echo);
    const requiring = { trustBundle: "trust", requireClientCertificate: true };
    const certificate = await root.issue("a", "DNS:a");
    const { proxy, port } = await start(
      backend.port,
      [
        tcpChain({}, { name: "on", serverNames: ["on"], tls: terminated("a", requiring) }),
        tcpChain({}, {
          name: "off",
          serverNames: ["off"],
          tls: terminated("a", { ...requiring, sessionResumption: false }),
        }),
      ],
      { a: certificate },
      root.certificate,
    );
    await using _ = proxy;
    await root.issue("me", "URI:spiffe://cluster.local/ns/default/sa/me");
    const own = ["-cert", "me.pem", "-key", "me.key", version];
    const reused = async (name: string, ...session: string[]) =>
      /^Reused, /m.test(await client(root, port, ["-servername", name, ...own, ...session], "hello\n"));
    assert.equal(await reused("on", "-sess_out", "session"), false);
    assert.equal(await reused("on", "-sess_in", "session"), true);
    await setCertificate(proxy, "a", certificate);
    assert.equal(await reused("on", "-sess_in", "session"), false);
    await reused("off", "-sess_out", "none");
    const kept = await Deno.stat(`${root.directory}/none`).then(() => true, () => false);
    if (kept) assert.equal(await reused("off", "-sess_in", "none"), false);
  });
}

Deno.test("upstream TLS: the server's certificate must be vouched for and carry an expected name", async () => {
  await using root = await TestRoot.make();
  await using stranger = await TestRoot.make();
  await using echoing = new TcpServer(echo);
  // The far server is a proxy of its own, which tells what it saw.
  const far = await start(echoing.port, [tcpChain({}, { tls: terminated("a") })], {
    a: await root.issue("a", "DNS:*.example.com,DNS:other.net"),
  });
  await using _far = far.proxy;
  const port = freePort();
  await using proxy = await TestProxy.start({});
  const works = async (subjectAltNames: string[], trust: TestRoot | null) => {
    await setTrust(proxy, (trust ?? root).certificate);
    const trustBundle = trust === null ? "file-root:system" : "trust";
    const tls = { certificate: "", trustBundle, sni: "api.example.com", subjectAltNames, alpn: [] };
    await proxy.update({
      clusters: [cluster({ tls })],
      endpoints: [endpoints("backend", [endpoint(far.port)])],
      listeners: [listener(port, { filterChains: [tcpChain()] })],
    });
    using connection = await connect(port);
    await writeAll(connection, bytes("x")).catch(() => {});
    return await connection.read(new Uint8Array(1)).catch(() => null) === 1;
  };
  assert.equal(await works(["api.example.com"], root), true);
  assert.equal(await works(["other.net", "unknown.net"], root), true);
  assert.equal(await works([], root), true);
  assert.equal(await works(["a.api.example.com"], root), false);
  assert.equal(await works(["example.com"], root), false);
  assert.equal(await works(["spiffe://cluster.local/ns/default/sa/a"], root), false);
  assert.equal(await works(["api.example.com"], stranger), false);
  // This machine's own trust does not cover the test's root.
  assert.equal(await works(["api.example.com"], null), false);
});

Deno.test("upstream TLS: the next connection to a host resumes the session of the one before, if it may", async () => {
  await using root = await TestRoot.make();
  await root.issue("far", "DNS:far.example");
  const [farPort, port] = [freePort(), freePort()];
  // It answers with a page that tells whether the session was resumed.
  const far = new Deno.Command("openssl", {
    args: ["s_server", "-accept", `127.0.0.1:${farPort}`, "-cert", "far.pem", "-key", "far.key", "-www"],
    cwd: root.directory,
    stdin: "null",
    stdout: "null",
    stderr: "null",
  }).spawn();
  await using proxy = await TestProxy.start({});
  await setTrust(proxy, root.certificate);
  const setUp = (sessionResumption: boolean) =>
    proxy.update({
      clusters: [
        cluster({
          tls: {
            certificate: "",
            trustBundle: "trust",
            sni: "far.example",
            subjectAltNames: ["far.example"],
            alpn: [],
            sessionResumption,
          },
        }),
      ],
      endpoints: [endpoints("backend", [endpoint(farPort)])],
      listeners: [listener(port, { filterChains: [tcpChain()] })],
    });
  const page = async () => {
    using connection = await connect(port);
    await writeAll(connection, bytes("GET / HTTP/1.0\r\n\r\n")).catch(() => {});
    return text(await readAll(connection).catch(() => new Uint8Array()));
  };
  await setUp(false);
  await until(async () => (await page()) !== "", "the server listens");
  assert.match(await page(), /^New, TLSv1.3/m);
  await setUp(true);
  assert.match(await page(), /^New, TLSv1.3/m);
  assert.match(await page(), /^Reused, TLSv1.3/m);
  assert.match(await page(), /^Reused, TLSv1.3/m);
  // New trust: nobody is believed for what the old one vouched for.
  await setTrust(proxy, root.certificate);
  assert.match(await page(), /^New, TLSv1.3/m);
  far.kill();
  await far.status;
});

/** A ClientHello for a server name, recorded from OpenSSL. */
async function recordedHello(serverName: string): Promise<Uint8Array<ArrayBuffer>> {
  const server = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const args = ["s_client", "-connect", `127.0.0.1:${server.addr.port}`, "-servername", serverName];
  const command = new Deno.Command("openssl", { args, stdin: "null", stdout: "null", stderr: "null" }).spawn();
  const connection = await server.accept();
  const buffer = new Uint8Array(16384);
  const count = await connection.read(buffer);
  close(connection);
  server.close();
  await command.status;
  return buffer.slice(0, count!);
}

/** Processor time of this process so far, in milliseconds: user and system. */
function processorTime(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1000;
}

Deno.test("a ClientHello in single bytes finds its chain and costs little; half of one costs nothing until its deadline", async () => {
  const hello = await recordedHello("inner.example");
  const heard = Promise.withResolvers<Uint8Array>();
  await using backend = new TcpServer(async (connection) => {
    const buffer = new Uint8Array(16384);
    let size = 0;
    while (size < hello.length) size += await connection.read(buffer.subarray(size)) ?? hello.length;
    heard.resolve(buffer.slice(0, size));
  });
  const { proxy, port } = await start(backend.port, [
    tcpChain({}, { serverNames: ["inner.example"], transportProtocol: "tls" }),
  ], {});
  await using _ = proxy;
  using slow = await connect(port);
  for (const byte of hello) {
    await slow.write(new Uint8Array([byte]));
    await new Promise((resolve) => setTimeout(resolve, 0));
  }
  assert.deepEqual(await heard.promise, hello);
  const halves = await Promise.all(Array.from({ length: 50 }, async () => {
    const connection = await connect(port);
    await writeAll(connection, hello.subarray(0, hello.length >> 1));
    return connection;
  }));
  await new Promise((resolve) => setTimeout(resolve, 200));
  const before = processorTime();
  await new Promise((resolve) => setTimeout(resolve, 1000));
  assert.ok(processorTime() - before < 300, `${processorTime() - before} ms of processor time for waiting`);
  halves.forEach(close);
  assert.equal(backend.connections, 1);
});

Deno.test("garbage and oversized hellos are closed at once, and leave nothing behind", async () => {
  await using root = await TestRoot.make();
  await using backend = new TcpServer(echo);
  const { proxy, port } = await start(backend.port, [
    tcpChain({}, { serverNames: ["a.example"], transportProtocol: "tls", tls: terminated("a") }),
  ], { a: await root.issue("a", "DNS:a.example") });
  await using _ = proxy;
  const hello = await recordedHello("a.example");
  const oversized = new Uint8Array(20_000);
  oversized.set([22, 3, 1, 0x4e, 0x1b, 1]);
  const truncated = hello.slice();
  truncated[43] = 255;
  const inputs = [
    bytes("GET / HTTP/1.1\r\n\r\n"),
    oversized,
    new Uint8Array([22, 3, 1, 0, 0]),
    truncated,
    new Uint8Array(64),
  ];
  const round = async (count: number) => {
    for (let i = 0; i < count; i++) {
      using connection = await connect(port);
      await writeAll(connection, inputs[i % inputs.length]).catch(() => {});
      if (i % 7 === 0) continue;
      assert.ok(
        text(await readAll(connection).catch(() => new Uint8Array())).length < 10,
        `input ${i % inputs.length}`,
      );
    }
  };
  await round(20);
  const before = descriptors();
  await round(300);
  // Broken off at every point of the hello and of the handshake.
  for (let size = 0; size < hello.length; size += 3) {
    const socket = Socket.connect("127.0.0.1", port);
    await until(() => socket.connectError() === 0, "connected");
    socket.write(hello, null, 0, size === 0 ? 1 : size);
    socket.reset();
  }
  for (let i = 0; i < 100; i++) {
    using connection = await connect(port);
    await writeAll(connection, hello);
    if (i % 2 === 0) await connection.read(new Uint8Array(100));
  }
  await until(() => descriptors() <= before + 2, `${descriptors()} descriptors, ${before} before`);
  assert.equal(backend.connections, 0);
});
