import { equal, notEqual } from "node:assert/strict";
import { X509Certificate } from "node:crypto";
import { connect } from "node:tls";
import { Authority } from "../../ca/authority/authority.ts";
import { AdsTestClient } from "../testing/ads_client.ts";
import { faultyLink } from "../testing/faulty_link.ts";
import { TestMesh, until } from "../testing/test_mesh.ts";
import { testNode } from "../testing/test_node.ts";
import { type DiscoveryCall, discoveryService } from "./discovery_service.ts";
import { startXdsServer, type XdsServer, type XdsServerOptions } from "./xds_server.ts";

interface Served {
  server: XdsServer;
  authority: Authority;
  calls: Set<Pick<DiscoveryCall, "send">>;
  open(port?: number): AdsTestClient;
}

/** Runs a test with a server that keeps the calls it is given. */
function check(sentence: string, options: Partial<XdsServerOptions>, run: (served: Served) => Promise<void>): void {
  Deno.test(sentence, () =>
    TestMesh.with(async (mesh) => {
      const authority = await Authority.open({ dataDir: mesh.dataDir, trustDomain: "cluster.local" });
      const identity = await mesh.identity();
      const calls = new Set<Pick<DiscoveryCall, "send">>();
      const clients: AdsTestClient[] = [];
      const server = await startXdsServer({
        listen: { host: "127.0.0.1", port: 0 },
        certificate: await authority.issueServerCertificate(["localhost"], 3_600_000),
        trustBundle: authority.trustBundle(),
        methods: discoveryService((call) => {
          calls.add(call);
          return { request() {}, closed: () => calls.delete(call) };
        }),
        ...options,
      });
      try {
        const open = (port = server.port) => {
          const client = new AdsTestClient({ port, identity, node: testNode() });
          client.subscribe("CDS", ["*"]);
          clients.push(client);
          return client;
        };
        await run({ server, authority, calls, open });
      } finally {
        clients.forEach((client) => client.close());
        await server.shutdown();
      }
    }));
}

const often = { keepalive: { interval: 100, timeout: 300 } };

check("an idle stream stays, however often it is asked whether it lives", often, async ({ calls, open }) => {
  const client = open();
  await until(() => calls.size === 1, "the stream is served");
  await new Promise((resolve) => setTimeout(resolve, 1000));
  equal(calls.size, 1);
  equal(client.status, null);
});

check("a peer that is gone without a word is noticed", often, async ({ server, calls, open }) => {
  const link = faultyLink(server.port);
  try {
    open(link.port);
    await until(() => calls.size === 1, "the stream is served");
    link.cut();
    await until(() => calls.size === 0, "the dead stream is noticed");
    open();
    await until(() => calls.size === 1, "others are served");
  } finally {
    link.close();
  }
});

check("clients that come and go, in every state, leave nothing behind", {}, async ({ calls, open }) => {
  for (let round = 0; round < 5; round++) {
    const clients = [open(), open(), open()];
    // The first is closed while it connects.
    clients[0].close();
    await until(() => calls.size >= 2, "the streams are served");
    clients.forEach((client) => client.close());
    await until(() => calls.size === 0, "the streams are gone");
  }
});

check("a new certificate is served to new connections, and streams that are up go on", {}, async (served) => {
  const { server, authority, calls, open } = served;
  const before = open();
  await until(() => calls.size === 1, "the stream is served");
  const [call] = calls;
  const old = await certificateOf(server.port, authority);
  server.replaceCertificate(await authority.issueServerCertificate(["localhost"], 7_200_000));
  notEqual(await certificateOf(server.port, authority), old);
  open();
  await until(() => calls.size === 2, "a new stream is served beside the old one");
  call.send({ type: "CDS", nonce: "1", version: "", shared: [], resources: [], removed: [] });
  await until(() => before.responses.length === 1, "the old stream still brings something");
});

check("shutting down cuts what does not end in time", { drainTime: 100, ...often }, async ({ server, calls, open }) => {
  const client = open();
  await until(() => calls.size === 1, "the stream is served");
  await server.shutdown();
  await until(() => client.status !== null, "the stream has ended");
  equal(calls.size, 0);
});

/** Serial number of the certificate that a server shows. */
function certificateOf(port: number, authority: Authority): Promise<string> {
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  const socket = connect({ port, host: "127.0.0.1", servername: "localhost", ca: authority.trustBundle() }, () => {
    resolve(new X509Certificate(socket.getPeerCertificate().raw).serialNumber);
    socket.destroy();
  });
  socket.on("error", reject);
  return promise;
}
