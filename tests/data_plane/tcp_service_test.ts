import assert from "node:assert/strict";
import type { Service } from "../../routing/mesh.ts";
import { endpoint, mesh, node, service } from "../../routing/compile/testing/mesh.ts";
import { workloadSetup } from "./configured.ts";
import { freePort, TestProxy } from "./harness.ts";
import { TestAuthority } from "./identities.ts";
import { bytes, connect, echo, readAll, readExactly, sum, TcpServer, text, writeAll } from "./tcp_peers.ts";

Deno.test("a TCP service of the mesh is reached at its loopback address, over mutual TLS", async () => {
  await using database = new TcpServer(echo);
  await using authority = await TestAuthority.open();
  // An address that no other test has: data threads share addresses.
  const vip = `127.64.${1 + Math.floor(Math.random() * 250)}.${1 + Math.floor(Math.random() * 250)}`;
  const [inboundPort, plaintextPort] = [freePort(), freePort()];
  const hostname = "db.example.com";
  const entry: Service = service("db", {
    hostname,
    name: hostname,
    ports: [{ name: "tcp", number: plaintextPort, protocol: "TCP" }],
    addresses: [vip],
    endpoints: [
      endpoint("db-v1", {
        address: "127.0.1.1",
        ports: { [plaintextPort]: inboundPort },
        serviceAccount: "database",
      }),
    ],
  });
  const compiled = mesh([entry]);
  const server = await authority.identity("database");
  const client = await authority.identity("productpage");
  await using proxy = await TestProxy.start({ proxy: "productpage-v1", principal: client.principal });
  await proxy.configure({ proxy: "db-v1", principal: server.principal });
  await authority.setSecrets(proxy, "productpage-v1", client);
  await authority.setSecrets(proxy, "db-v1", server);
  const port = { name: "tcp", number: plaintextPort, protocol: "TCP", targetAddress: "127.0.0.1" };
  await proxy.update(workloadSetup(
    compiled,
    node({
      workload: "db-v1",
      service: hostname,
      serviceAccount: "database",
      labels: { app: "db", version: "v1" },
      inboundPort,
      httpProxy: null,
      ports: [{ ...port, targetPort: database.port }],
    }),
  ));
  const httpProxy = { address: "127.0.0.1", port: freePort() };
  await proxy.update(workloadSetup(compiled, node({ httpProxy, ports: [], vipRange: "127.64.0.0/16" })));

  using connection = await Deno.connect({ hostname: vip, port: plaintextPort });
  await writeAll(connection, bytes("select 1"));
  assert.equal(text(await readExactly(connection, 8)), "select 1");
  await connection.closeWrite();
  assert.equal((await readAll(connection)).length, 0);
  const labels = {
    source_principal: client.principal,
    destination_principal: server.principal,
    destination_service: hostname,
    request_protocol: "tcp",
  };
  for (const reporter of ["source", "destination"]) {
    const received = sum(proxy.threads.series(), "istio_tcp_received_bytes_total", { ...labels, reporter });
    assert.equal(received, 8, reporter);
  }

  // Callers outside the mesh find it on the workload's own port, even those who let the server speak first.
  using outside = await Deno.connect({ hostname: "127.0.1.1", port: plaintextPort });
  await writeAll(outside, bytes("x"));
  assert.equal(text(await readExactly(outside, 1)), "x");
});

Deno.test("nobody without an identity reaches a TCP service on the inbound port", async () => {
  await using database = new TcpServer(echo);
  await using authority = await TestAuthority.open();
  const server = await authority.identity("database");
  const inboundPort = freePort();
  await using proxy = await TestProxy.start({ proxy: "db-v1", principal: server.principal });
  await authority.setSecrets(proxy, "db-v1", server);
  const port = { name: "tcp", number: freePort(), protocol: "TCP", targetAddress: "127.0.0.1" };
  await proxy.update(workloadSetup(
    mesh([service("db", { ports: [] })]),
    node({
      workload: "db-v1",
      service: "db",
      address: "127.0.0.1",
      inboundPort,
      httpProxy: null,
      ports: [{ ...port, targetPort: database.port }],
    }),
  ));
  using connection = await connect(inboundPort);
  await writeAll(connection, bytes("select 1"));
  assert.equal(await connection.read(new Uint8Array(1)).catch(() => null), null);
  assert.equal(database.connections, 0);
});
