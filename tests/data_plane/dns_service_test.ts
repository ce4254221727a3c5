import { deepEqual, equal } from "node:assert/strict";
import type { Answer } from "dns-packet";
import { startNameServer, type TestNameServer } from "../../agent/dns/testdata/name_server.ts";
import { node } from "../../routing/compile/testing/mesh.ts";
import { until } from "../../scripts/demo/harness/until.ts";
import { configureWorkload, meshOf } from "./configured_workload.ts";
import { freePort, TestProxy } from "./harness.ts";
import { bytes, echo, readExactly, TcpServer, text, writeAll } from "./tcp_peers.ts";

const proxyName = "productpage-v1";

/** The records of a name, which live for a second. */
function addresses(server: TestNameServer, name: string, ...list: string[]): void {
  server.records.set(`${name} A`, list.map((data): Answer => ({ type: "A", name, ttl: 1, data })));
}

/** An HTTP server on an address of its own that answers with its address. */
function answering(hostname: string, port: number): Deno.HttpServer {
  return Deno.serve({ hostname, port, onListen: () => {} }, (_, { remoteAddr }) => {
    connections.add(`${hostname} ${(remoteAddr as Deno.NetAddr).port}`);
    return new Response(hostname);
  });
}

const connections = new Set<string>();

function httpEntry(port: number, resolution: string): string {
  return `
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: { name: api }
spec:
  hosts: [api.example]
  ports: [{ number: ${port}, name: http, protocol: HTTP }]
  resolution: ${resolution}
`;
}

async function ask(proxyPort: number, host: string): Promise<string> {
  using client = Deno.createHttpClient({ proxy: { url: `http://127.0.0.1:${proxyPort}` } });
  const response = await fetch(`http://${host}/`, { client });
  return `${response.status} ${await response.text()}`;
}

Deno.test("a service found by DNS follows its records", async () => {
  await using names = await startNameServer();
  const port = freePort();
  await using _one = answering("127.0.0.1", port);
  await using _two = answering("127.0.7.2", port);
  addresses(names, "api.example", "127.0.0.1");
  await using proxy = await TestProxy.start({ proxy: proxyName });
  const httpProxy = { address: "127.0.0.1", port: freePort() };
  const mesh = meshOf(httpEntry(port, "DNS"));
  const configuration = await configureWorkload(proxy, mesh, node({ httpProxy, ports: [] }), names);
  try {
    const asked = () => ask(httpProxy.port, `api.example:${port}`);
    await until("the name is resolved", async () => await asked() === "200 127.0.0.1");
    addresses(names, "api.example", "127.0.7.2");
    await until("the new address is used", async () => await asked() === "200 127.0.7.2");
    addresses(names, "api.example", "127.0.7.2", "127.0.0.1");
    const seen = new Set<string>();
    await until("both addresses are used", async () => seen.add(await asked()).size === 2);
    // What is known goes on being used while nobody answers.
    names.trouble = 2;
    const before = names.asked.length;
    await until("somebody has asked in vain", () => Promise.resolve(names.asked.length > before + 1));
    equal((await asked()).slice(0, 4), "200 ");
    names.trouble = null;
    names.records.clear();
    await until("a name that is gone has no endpoints", async () => (await asked()).startsWith("503 "));
    const [{ cluster, watch }] = [...configuration.watchedNames()];
    equal(cluster, `outbound|${port}||api.example`);
    equal(watch.statistics.failures > 0 && watch.statistics.empty > 0, true);
  } finally {
    await configuration.close();
  }
});

Deno.test("connections to a logical name outlive its address", async () => {
  await using names = await startNameServer();
  const port = freePort();
  await using _one = answering("127.0.0.1", port);
  await using _two = answering("127.0.7.2", port);
  addresses(names, "api.example", "127.0.0.1", "127.0.7.2");
  await using proxy = await TestProxy.start({ proxy: proxyName });
  const httpProxy = { address: "127.0.0.1", port: freePort() };
  const mesh = meshOf(httpEntry(port, "DNS_ROUND_ROBIN"));
  const configuration = await configureWorkload(proxy, mesh, node({ httpProxy, ports: [] }), names);
  try {
    const asked = () => ask(httpProxy.port, `api.example:${port}`);
    await until("the name is resolved", async () => (await asked()).startsWith("200 "));
    connections.clear();
    const answers = new Set<string>();
    for (let i = 0; i < 5; i++) answers.add(await asked());
    deepEqual([...answers], ["200 127.0.0.1"]);
    addresses(names, "api.example", "127.0.7.2");
    const before = names.asked.length;
    await until("it was asked for again", () => Promise.resolve(names.asked.length > before));
    await new Promise((resolve) => setTimeout(resolve, 100));
    equal(await asked(), "200 127.0.0.1");
    equal(connections.size, 1);
  } finally {
    await configuration.close();
  }
});

Deno.test("a database behind a ServiceEntry of resolution DNS is reached at its loopback address", async () => {
  await using names = await startNameServer();
  await using database = new TcpServer(echo);
  addresses(names, "db.example", "127.0.0.1");
  const vip = `127.64.${1 + Math.floor(Math.random() * 250)}.${1 + Math.floor(Math.random() * 250)}`;
  const port = freePort();
  const mesh = meshOf(`
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: { name: db }
spec:
  hosts: [db.example]
  addresses: [${vip}]
  ports: [{ number: ${port}, name: tcp-postgres, targetPort: ${database.port} }]
  resolution: DNS
`);
  await using proxy = await TestProxy.start({ proxy: proxyName });
  const httpProxy = { address: "127.0.0.1", port: freePort() };
  const client = node({ httpProxy, ports: [], vipRange: "127.64.0.0/16" });
  const configuration = await configureWorkload(proxy, mesh, client, names);
  try {
    await until("the listener is there", async () => {
      try {
        (await Deno.connect({ hostname: vip, port })).close();
        return true;
      } catch {
        return false;
      }
    });
    using connection = await Deno.connect({ hostname: vip, port });
    await writeAll(connection, bytes("select 1"));
    equal(text(await readExactly(connection, 8)), "select 1");
  } finally {
    await configuration.close();
  }
});

Deno.test("a service behind a Unix socket is reached", async () => {
  await using names = await startNameServer();
  const directory = await Deno.makeTempDir();
  const path = `${directory}/app.sock`;
  await using _server = Deno.serve({ path, onListen: () => {} }, () => new Response("by socket"));
  await using proxy = await TestProxy.start({ proxy: proxyName });
  const httpProxy = { address: "127.0.0.1", port: freePort() };
  const mesh = meshOf(`
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: { name: local }
spec:
  hosts: [local.example]
  ports: [{ number: 80, name: http, protocol: HTTP }]
  resolution: STATIC
  endpoints: [{ address: "unix://${path}" }]
`);
  const configuration = await configureWorkload(proxy, mesh, node({ httpProxy, ports: [] }), names);
  try {
    await until(
      "the configuration is there",
      async () => await ask(httpProxy.port, "local.example") === "200 by socket",
    );
  } finally {
    await configuration.close();
    await Deno.remove(directory, { recursive: true });
  }
});
