import { equal, match } from "node:assert/strict";
import { startNameServer } from "../../agent/dns/testdata/name_server.ts";
import { node } from "../../routing/compile/testing/mesh.ts";
import { until } from "../../scripts/demo/harness/until.ts";
import { configureWorkload, meshOf } from "./configured_workload.ts";
import { freePort, TestProxy } from "./harness.ts";
import { bytes, echo, readExactly, TcpServer, text, writeAll } from "./tcp_peers.ts";

Deno.test("a port of unsaid protocol is HTTP or TCP by how each connection begins", async () => {
  await using names = await startNameServer();
  await using server = new TcpServer(echo);
  const vip = `127.64.${1 + Math.floor(Math.random() * 250)}.${1 + Math.floor(Math.random() * 250)}`;
  const port = freePort();
  const mesh = meshOf(
    `
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: { name: any }
spec:
  hosts: [any.example]
  addresses: [${vip}]
  ports: [{ number: ${port}, name: any, targetPort: ${server.port} }]
  resolution: STATIC
  endpoints: [{ address: 127.0.0.1 }]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: { name: any }
spec: { hosts: [any.example], http: [ { directResponse: { status: 418 } } ] }
`,
    "protocolDetectionTimeout: 0.3s",
  );
  await using proxy = await TestProxy.start({ proxy: "productpage-v1" });
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
    const request = `GET / HTTP/1.1\r\nHost: any.example:${port}\r\n\r\n`;
    for (const parts of [[request], ["GE", request.slice(2, 20), request.slice(20)]]) {
      using connection = await Deno.connect({ hostname: vip, port });
      for (const part of parts) {
        await writeAll(connection, bytes(part));
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
      match(text(await readExactly(connection, 12)), /^HTTP\/1\.1 418$/);
    }
    for (const opening of ["select 1", "GET key\r\n", "\x16\x01\x00\x00"]) {
      using connection = await Deno.connect({ hostname: vip, port });
      await writeAll(connection, bytes(opening));
      equal(text(await readExactly(connection, opening.length)), opening);
    }
    {
      using connection = await Deno.connect({ hostname: vip, port });
      await writeAll(connection, bytes("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0"));
      equal((await readExactly(connection, 9))[3], 4, "a SETTINGS frame");
    }
    // Whoever begins as HTTP does and stops is taken for TCP when the time is over.
    using connection = await Deno.connect({ hostname: vip, port });
    await writeAll(connection, bytes("GET"));
    equal(text(await readExactly(connection, 3)), "GET");
  } finally {
    await configuration.close();
  }
});
