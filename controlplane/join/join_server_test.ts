import { equal, notEqual, throws } from "node:assert/strict";
import { connect } from "node:tls";
import { Hono } from "hono";
import { Authority } from "../../ca/authority/authority.ts";
import { temporaryDirectory } from "../../ca/testing/directory.ts";
import { readCertificate } from "../../ca/x509/certificate.ts";
import type { JoinBindings } from "./join_app.ts";
import { startJoinServer } from "./join_server.ts";

const hour = 3600_000;

/** A server whose only call, once begun, is answered when the test says so. */
async function slowServer() {
  await using directory = await temporaryDirectory();
  const authority = await Authority.open({ dataDir: directory.path, trustDomain: "cluster.local" });
  const begun = Promise.withResolvers<void>();
  const release = Promise.withResolvers<void>();
  const app = new Hono<{ Bindings: JoinBindings }>().get("/", async (c) => {
    begun.resolve();
    await release.promise;
    return c.text("whole");
  });
  const { chain, privateKey } = await authority.issueServerCertificate(["127.0.0.1"], hour);
  const listen = { host: "127.0.0.1", port: 0 };
  const options = { listen, certificate: chain.join(""), key: privateKey, app };
  return { authority, begun: begun.promise, release: release.resolve, options, server: startJoinServer(options) };
}

/** Serial number of the certificate that a port shows. */
function servedSerial(port: number, ca: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host: "127.0.0.1", port, ca }, () => {
      resolve(socket.getPeerCertificate().serialNumber.toLowerCase());
      socket.destroy();
    });
    socket.on("error", reject);
  });
}

Deno.test("the certificate is replaced without cutting off a call in progress", async () => {
  const { authority, begun, release, server } = await slowServer();
  const root = authority.trustBundle();
  using client = Deno.createHttpClient({ caCerts: [root] });
  const before = await servedSerial(server.port, root);
  const call = fetch(`https://127.0.0.1:${server.port}/`, { client });
  await begun;

  const next = await authority.issueServerCertificate(["127.0.0.1"], hour);
  const nextSerial = readCertificate(next.chain[0]).serialNumber;
  notEqual(before, nextSerial);
  await server.replaceCertificate(next.chain.join(""), next.privateKey);
  equal(await servedSerial(server.port, root), nextSerial);
  release();
  equal(await (await call).text(), "whole");
  await server.shutdown();
});

Deno.test("shutting down answers the call in progress, then nobody", async () => {
  const { authority, begun, release, server } = await slowServer();
  const root = authority.trustBundle();
  using client = Deno.createHttpClient({ caCerts: [root] });
  const call = fetch(`https://127.0.0.1:${server.port}/`, { client });
  await begun;
  const down = server.shutdown();
  release();
  equal(await (await call).text(), "whole");
  await down;
  const refused = await servedSerial(server.port, root).then(() => false, () => true);
  equal(refused, true);
});

Deno.test("a port that is taken is an error at once", async () => {
  const { options, server } = await slowServer();
  const listen = { host: "127.0.0.1", port: server.port };
  throws(() => startJoinServer({ ...options, listen }), Deno.errors.AddrInUse);
  await server.shutdown();
});
