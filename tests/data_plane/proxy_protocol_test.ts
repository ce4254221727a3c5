import assert from "node:assert/strict";
import process from "node:process";
import type { FilterChainConfig } from "../../agent/config/model.ts";
import { translateCluster } from "../../agent/config/translate/cluster.ts";
import { translateListener } from "../../agent/config/translate/listener.ts";
import { message, refusedAt } from "../../agent/config/translate/testdata/envoy_json.ts";
import { ClusterSchema } from "../../routing/xds/gen/envoy/config/cluster/v3/cluster_pb.ts";
import { ListenerSchema } from "../../routing/xds/gen/envoy/config/listener/v3/listener_pb.ts";
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
import { CompiledService } from "./compiled_service.ts";
import { RawBackend, RawConnection } from "./raw_sockets.ts";
import {
  bytes,
  close,
  connect,
  descriptors,
  readAll,
  tcpChain,
  TcpServer,
  text,
  until,
  writeAll,
} from "./tcp_peers.ts";

const types = "type.googleapis.com/envoy.extensions";
const typed = (type: string, fields = {}) => ({ name: type, typedConfig: { "@type": `${types}.${type}`, ...fields } });
const binary = new Uint8Array(
  [13, 10, 13, 10, 0, 13, 10, 81, 85, 73, 84, 10, 0x21, 0x11, 0, 16, 192, 0, 2, 7, 10, 0, 0, 1, 0x12, 0x34, 0, 80]
    .concat([4, 0, 1, 0]),
);

/** A listener with the filter before these chains and an HTTP backend, whose answer is `x-forwarded-for`. */
async function start(chains: FilterChainConfig[], allowRequestsWithoutProxyProtocol = false, accessLog = "") {
  const backend = new Backend((request) => new Response(`for ${request.headers.get("x-forwarded-for")}`));
  const port = freePort();
  const proxy = await TestProxy.start({
    clusters: [cluster()],
    endpoints: [endpoints("backend", [endpoint(backend.port)])],
    routes: [routes([route()])],
    listeners: [
      listener(port, {
        filterChains: chains,
        proxyProtocol: { allowRequestsWithoutProxyProtocol },
        accessLog: accessLog === "" ? [] : [{ path: accessLog, format: "%DOWNSTREAM_REMOTE_ADDRESS%\n", json: null }],
      }),
    ],
  });
  const dispose = async () => {
    await proxy[Symbol.asyncDispose]();
    await backend[Symbol.asyncDispose]();
  };
  return { port, proxy, backend, [Symbol.asyncDispose]: dispose };
}

const edge = () => filterChain({ http: connectionManager({ useRemoteAddress: true }) });
const get = "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";

Deno.test("the caller's address of the header flows to x-forwarded-for and the access log", async () => {
  const directory = await Deno.makeTempDir();
  const path = `${directory}/log`;
  await using server = await start([edge()], false, path);
  assert.match(
    await rawExchange(server.port, `PROXY TCP4 203.0.113.9 10.0.0.1 4711 80\r\n${get}`),
    /for 203\.0\.113\.9$/,
  );
  assert.match(await rawExchange(server.port, new Uint8Array([...binary, ...bytes(get)])), /for 192\.0\.2\.7$/);
  assert.match(await rawExchange(server.port, `PROXY UNKNOWN\r\n${get}`), /for 127\.0\.0\.1$/);
  const lines = () => Deno.readTextFile(path).then((log) => log.trim().split("\n"), () => []);
  await until(async () => (await lines()).length === 3, "three lines are written");
  const [first, second, third] = await lines();
  assert.deepEqual([first, second], ["203.0.113.9:4711", "192.0.2.7:4660"]);
  assert.match(third, /^127\.0\.0\.1:\d+$/);
  await Deno.remove(directory, { recursive: true });
});

Deno.test("without a header, or with a wrong one, nobody gets in, unless the header may be missing", async () => {
  await using strict = await start([edge()]);
  assert.equal(await rawExchange(strict.port, get), "");
  assert.equal(await rawExchange(strict.port, `PROXY TCP4 1.2.3.4 1.2.3.4 1\r\n${get}`), "");
  assert.equal(strict.backend.requests, 0);
  await using lenient = await start([edge()], true);
  assert.match(await rawExchange(lenient.port, get), /for 127\.0\.0\.1$/);
  assert.match(await rawExchange(lenient.port, `PROXY TCP4 1.2.3.4 1.2.3.4 1 2\r\n${get}`), /for 1\.2\.3\.4$/);
  assert.equal(await rawExchange(lenient.port, `PROXY TCP4 1.2.3.4 1.2.3.4 1\r\n${get}`), "");
});

Deno.test("a header in single bytes is taken as one, and waiting for the rest costs next to nothing", async () => {
  await using server = await start([edge(), tcpChain({}, { name: "tls", transportProtocol: "tls" })]);
  for (const header of [bytes("PROXY TCP4 203.0.113.9 10.0.0.1 4711 80\r\n"), binary]) {
    using connection = await connect(server.port);
    for (const byte of header) {
      await connection.write(new Uint8Array([byte]));
      await new Promise((resolve) => setTimeout(resolve, 0));
    }
    await writeAll(connection, bytes(get));
    assert.match(text(await readAll(connection)), /for (203\.0\.113\.9|192\.0\.2\.7)$/);
  }
  const before = descriptors();
  const halves = await Promise.all(Array.from({ length: 40 }, async (_, i) => {
    const connection = await connect(server.port);
    await writeAll(connection, i % 2 === 0 ? bytes("PROXY TCP4 203.0") : binary.subarray(0, 14));
    return connection;
  }));
  await new Promise((resolve) => setTimeout(resolve, 200));
  const start0 = process.cpuUsage();
  await new Promise((resolve) => setTimeout(resolve, 1000));
  const { user, system } = process.cpuUsage(start0);
  assert.ok((user + system) / 1000 < 300, `${(user + system) / 1000} ms of processor time for waiting`);
  halves.forEach(close);
  await until(() => descriptors() <= before + 2, "descriptors are given back");
});

for (const version of ["V1", "V2"] as const) {
  Deno.test(`a TCP upstream learns of the caller by a header of ${version}, also of the one before this proxy`, async () => {
    const heard: string[] = [];
    await using backend = new TcpServer(async (connection) => {
      heard.push(text(await readAll(connection)));
    });
    const [port, behind] = [freePort(), freePort()];
    const { cluster: translated } = translateCluster(message(ClusterSchema, {
      name: "backend",
      transportSocket: typed("transport_sockets.proxy_protocol.v3.ProxyProtocolUpstreamTransport", {
        config: { version },
        transportSocket: typed("transport_sockets.raw_buffer.v3.RawBuffer"),
      }),
    }));
    const { listener: received } = translateListener(message(ListenerSchema, {
      name: "behind",
      address: { socketAddress: { address: "127.0.0.1", portValue: behind } },
      listenerFilters: [
        typed("filters.listener.proxy_protocol.v3.ProxyProtocol"),
        typed("filters.listener.tls_inspector.v3.TlsInspector"),
      ],
      filterChains: [{
        filters: [typed("filters.network.tcp_proxy.v3.TcpProxy", { statPrefix: "a", cluster: "backend" })],
      }],
    }));
    await using _proxy = await TestProxy.start({
      clusters: [{ ...translated, slot: 0 }],
      endpoints: [endpoints("backend", [endpoint(backend.port)])],
      listeners: [listener(port, { filterChains: [tcpChain()] }), received],
    });
    using connection = await connect(port);
    await writeAll(connection, bytes("hello"));
    await connection.closeWrite();
    await readAll(connection);
    using forwarded = await connect(behind);
    await writeAll(forwarded, bytes("PROXY TCP4 203.0.113.9 10.0.0.1 4711 80\r\nhello"));
    await forwarded.closeWrite();
    await readAll(forwarded);
    const own = (connection.localAddr as Deno.NetAddr).port;
    if (version === "V1") {
      assert.deepEqual(heard, [
        `PROXY TCP4 127.0.0.1 127.0.0.1 ${own} ${port}\r\nhello`,
        `PROXY TCP4 203.0.113.9 127.0.0.1 4711 ${behind}\r\nhello`,
      ]);
    } else {
      const ports = (one: number, other: number) => String.fromCharCode(one >> 8, one & 255, other >> 8, other & 255);
      const start = "\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c";
      assert.deepEqual(heard, [
        `${start}\x7f\0\0\x01\x7f\0\0\x01${ports(own, port)}hello`,
        `${start}\xcb\0\x71\x09\x7f\0\0\x01${ports(4711, behind)}hello`,
      ]);
    }
  });
}

Deno.test("proxyProtocol of a rule tells of each caller on connections of its own, over TLS or not", async () => {
  const heads: string[] = [];
  using backend = new RawBackend(async (connection) => {
    for (let answered = 0;; answered++) {
      await until(() => connection.received.split("\r\n\r\n").length > answered + 1, "a request");
      if (answered === 0) heads.push(connection.received.slice(0, connection.received.indexOf("GET")));
      await connection.send("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n");
    }
  });
  await using service = await CompiledService.start([[backend]], {
    trafficPolicy: "{ proxyProtocol: { version: V1 } }",
  });
  const { port } = service.httpProxy;
  const callers = [await RawConnection.connect(port), await RawConnection.connect(port)];
  for (const answers of [1, 2]) {
    for (const caller of callers) {
      await caller.send("GET / HTTP/1.1\r\nhost: backend:9080\r\n\r\n");
      await until(() => caller.received.split("\r\n\r\n").length > answers, "an answer");
    }
  }
  const own = callers.map(({ connection }) => (connection.localAddr as Deno.NetAddr).port);
  assert.deepEqual(heads, own.map((caller) => `PROXY TCP4 127.0.0.1 127.0.0.1 ${caller} ${port}\r\n`));
  for (const caller of callers) caller.close();

  using secured = new RawBackend();
  await using tls = await CompiledService.start([[secured]], {
    trafficPolicy: "{ proxyProtocol: { version: V2 }, tls: { mode: SIMPLE } }",
  });
  const refused = tls.request();
  const header = "\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\x7f\0\0\x01\x7f\0\0\x01";
  await until(() => secured.received.length > header.length + 7, "the ClientHello");
  assert.equal(secured.received.slice(0, header.length), header);
  assert.equal(secured.received.slice(header.length + 4, header.length + 6), "\x16\x03");
  for (const connection of secured.connections) connection.close();
  assert.equal((await refused).status, 503);
});

Deno.test("what of the PROXY protocol is not implemented is refused by its path", () => {
  const refused = (listenerFilters: ReturnType<typeof typed>[]) =>
    refusedAt(() =>
      translateListener(message(ListenerSchema, {
        name: "l",
        address: { socketAddress: { address: "127.0.0.1", portValue: 1 } },
        listenerFilters,
        filterChains: [{
          filters: [typed("filters.network.tcp_proxy.v3.TcpProxy", { statPrefix: "a", cluster: "c" })],
        }],
      }))
    );
  const inspector = typed("filters.listener.tls_inspector.v3.TlsInspector");
  const filter = (fields = {}) => typed("filters.listener.proxy_protocol.v3.ProxyProtocol", fields);
  assert.equal(refused([filter({ allowRequestsWithoutProxyProtocol: true }), inspector]), "");
  assert.equal(refused([inspector, filter()]), "listener l: listener_filters[1]");
  const rules = filter({ rules: [{ tlvType: 1 }] });
  assert.equal(refused([rules]), "listener l: listener_filters[0].typed_config.rules");
});
