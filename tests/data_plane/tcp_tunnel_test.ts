/** Connections that go to an upstream inside HTTP requests, and what else a DestinationRule says of them. */
import assert from "node:assert/strict";
import { endpoint as meshEndpoint, mesh, node, resources, service } from "../../routing/compile/testing/mesh.ts";
import { data, headers, Http2Backend } from "./http2_peer.ts";
import { workloadSetup } from "./configured.ts";
import { cluster, endpoint, endpoints, freePort, listener, TestProxy } from "./harness.ts";
import { RawBackend, RawConnection, until } from "./raw_sockets.ts";
import { bytes, echo, sum, tcpChain, TcpServer, writeAll } from "./tcp_peers.ts";

const hostname = "db.example.com:5432";

/** A proxy whose one listener tunnels to the backend. */
async function tunnelTo(backendPort: number, usePost: boolean, http2: boolean) {
  const port = freePort();
  const proxy = await TestProxy.start({
    clusters: [cluster(http2 ? { http2: { maxConcurrentStreams: 100 } } : {})],
    endpoints: [endpoints("backend", [endpoint(backendPort)])],
    listeners: [listener(port, { filterChains: [tcpChain({ tunneling: { hostname, usePost } })] })],
  });
  return { proxy, port };
}

/** An HTTP/1.1 proxy that agrees to every tunnel and sends back what comes through. */
function echoingProxy(heads: string[], agreement = "HTTP/1.1 200 OK\r\n\r\n"): RawBackend {
  return new RawBackend(async (connection) => {
    await until(() => connection.received.includes("\r\n\r\n"), "a head");
    heads.push(connection.received.slice(0, connection.received.indexOf("\r\n\r\n")));
    let taken = connection.received.indexOf("\r\n\r\n") + 4;
    await connection.send(agreement);
    for (;;) {
      await until(() => connection.received.length > taken || connection.ended, "bytes");
      if (connection.received.length === taken) return connection.close();
      const size = connection.received.length - taken;
      await connection.send(connection.received.slice(taken, taken + size));
      taken += size;
    }
  });
}

Deno.test("a connection goes through CONNECT over HTTP/1.1, half-closed and closed as its ends wish", async () => {
  const heads: string[] = [];
  using backend = echoingProxy(heads);
  const { proxy, port } = await tunnelTo(backend.port, false, false);
  await using _ = proxy;
  using caller = await RawConnection.connect(port);
  await caller.send("select 1");
  await caller.until(/^select 1$/);
  await caller.send("; 2");
  await caller.finishSending();
  assert.equal(await caller.end(), "select 1; 2");
  assert.deepEqual(heads, [`CONNECT ${hostname} HTTP/1.1\r\nhost: ${hostname}`]);
  assert.equal(sum(proxy.threads.series(), "istio_tcp_received_bytes_total", {}), 11);
});

Deno.test("a connection goes through the bodies of a POST over HTTP/1.1", async () => {
  const heads: string[] = [];
  // Chunks of the request are chunks of the answer.
  using backend = echoingProxy(heads, "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n");
  const { proxy, port } = await tunnelTo(backend.port, true, false);
  await using _ = proxy;
  using caller = await RawConnection.connect(port);
  await caller.send("select 1");
  await caller.until(/^select 1$/);
  await caller.finishSending();
  assert.equal(await caller.end(), "select 1");
  assert.deepEqual(heads, [`POST / HTTP/1.1\r\nhost: ${hostname}\r\ntransfer-encoding: chunked`]);
});

for (const usePost of [false, true]) {
  Deno.test(`a connection is a stream of HTTP/2 with ${usePost ? "POST" : "CONNECT"}`, async () => {
    using backend = new Http2Backend(async (message, peer) => {
      await peer.send(headers(message.stream, [[":status", "200"]], false));
      await until(() => message.body.length >= 8, "what the caller sends");
      await peer.send(data(message.stream, message.body, true));
    });
    const { proxy, port } = await tunnelTo(backend.port, usePost, true);
    await using _ = proxy;
    using caller = await RawConnection.connect(port);
    await caller.send("select 1");
    await caller.until(/^select 1$/);
    await caller.finishSending();
    await caller.end();
    const [message] = backend.peers[0].messages.values();
    assert.deepEqual(
      message.fields,
      usePost
        ? [[":method", "POST"], [":scheme", "http"], [":path", "/"], [":authority", hostname]]
        : [[":method", "CONNECT"], [":authority", hostname]],
    );
  });
}

Deno.test("a tunnel that is refused closes the caller's connection, and no byte of it goes out", async () => {
  const heads: string[] = [];
  using backend = echoingProxy(heads, "HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\n\r\n");
  const { proxy, port } = await tunnelTo(backend.port, false, false);
  await using _ = proxy;
  using caller = await RawConnection.connect(port);
  await caller.send("select 1");
  assert.equal(await caller.end(), "");
  assert.doesNotMatch(backend.received, /select/);
});

/** A proxy for a client whose service `db` on a loopback address has this traffic policy. */
async function withPolicy(trafficPolicy: string, ...backendPorts: number[]) {
  const vip = `127.64.${1 + Math.floor(Math.random() * 250)}.${1 + Math.floor(Math.random() * 250)}`;
  const port = freePort();
  const entry = service("db", {
    ports: [{ name: "tcp", number: port, protocol: "TCP" }],
    addresses: [vip],
    endpoints: backendPorts.map((backendPort) =>
      meshEndpoint("db-v1", { address: "127.0.0.1", ports: { [port]: backendPort }, tlsMode: "disabled" })
    ),
  });
  const rule = `
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: { name: db, namespace: default }
spec: { host: db, trafficPolicy: ${trafficPolicy} }
`;
  const client = node({ httpProxy: { address: "127.0.0.1", port: freePort() }, ports: [], vipRange: "127.64.0.0/16" });
  const proxy = await TestProxy.start({ proxy: client.workload });
  await proxy.update(workloadSetup(mesh([entry], resources(rule)), client));
  const dial = async () => new RawConnection(await Deno.connect({ hostname: vip, port }));
  return { proxy, dial };
}

Deno.test("a DestinationRule's tunnel takes a service's connections through a proxy", async () => {
  const heads: string[] = [];
  using backend = echoingProxy(heads);
  const { proxy, dial } = await withPolicy(
    "{ tunnel: { targetHost: db.example.com, targetPort: 5432 } }",
    backend.port,
  );
  await using _ = proxy;
  using caller = await dial();
  await caller.send("select 1");
  await caller.until(/^select 1$/);
  assert.deepEqual(heads, [`CONNECT ${hostname} HTTP/1.1\r\nhost: ${hostname}`]);
});

for (const setting of ["idleTimeout", "maxConnectionDuration"]) {
  Deno.test(`a DestinationRule's ${setting} ends a service's connections`, async () => {
    await using backend = new TcpServer(echo);
    const { proxy, dial } = await withPolicy(`{ connectionPool: { tcp: { ${setting}: 300ms } } }`, backend.port);
    await using _ = proxy;
    using caller = await dial();
    await caller.send("select 1");
    assert.equal(await caller.end(), "select 1");
  });
}

Deno.test("useSourceIp keeps a caller's connections with one endpoint", async () => {
  const policy = "{ loadBalancer: { consistentHash: { useSourceIp: true } } }";
  await using one = new TcpServer((connection) => writeAll(connection, bytes("one")));
  await using other = new TcpServer((connection) => writeAll(connection, bytes("other")));
  const { proxy, dial } = await withPolicy(policy, one.port, other.port);
  await using _ = proxy;
  const answers = new Set<string>();
  for (let i = 0; i < 20; i++) {
    using caller = await dial();
    await caller.until(/^(one|other)$/);
    answers.add(caller.received);
  }
  assert.equal(answers.size, 1);
});
