/** TLS towards servers with certificates of their own: from a DestinationRule to what the server sees. */
import assert from "node:assert/strict";
import https from "node:https";
import type { AddressInfo } from "node:net";
import type { TLSSocket } from "node:tls";
import { CompiledService } from "./compiled_service.ts";
import { openssl, TestRoot } from "./tls_certificates.ts";

/** A server that answers with the server name that it was asked for and whose certificate the client showed. */
class TlsBackend implements AsyncDisposable {
  readonly #server: https.Server;
  readonly port: number;

  private constructor(server: https.Server) {
    this.#server = server;
    this.port = (server.address() as AddressInfo).port;
  }

  static async start(root: TestRoot, subjectAltName: string, requestCert = false): Promise<TlsBackend> {
    const { certificate, privateKey } = await root.issue("server", subjectAltName);
    const options = { cert: certificate, key: privateKey, ca: root.certificate, requestCert, rejectUnauthorized: true };
    const server = https.createServer(options, (request, response) => {
      const socket = request.socket as TLSSocket & { servername?: string | false };
      const { subject } = socket.getPeerCertificate() ?? {};
      response.end(`sni=${socket.servername || "none"} client=${subject?.CN ?? "none"}`);
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    return new TlsBackend(server);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }
}

/** What a request gets under this `tls` of a DestinationRule. */
async function answer(backend: TlsBackend, tls: string, credentials?: string): Promise<string> {
  await using service = await CompiledService.start([[backend]], { trafficPolicy: `{ tls: ${tls} }`, credentials });
  const { status, body } = await service.request();
  return status === 200 ? body : String(status);
}

const host = "backend";

Deno.test("SIMPLE verifies the server by the bundle and its names, and asks for it by name", async () => {
  await using root = await TestRoot.make();
  await using backend = await TlsBackend.start(root, `DNS:${host},DNS:other.example`);
  const ca = `caCertificates: ${root.directory}/root.pem`;
  assert.equal(await answer(backend, `{ mode: SIMPLE, ${ca} }`), `sni=${host} client=none`);
  assert.equal(
    await answer(backend, `{ mode: SIMPLE, ${ca}, sni: other.example, subjectAltNames: [other.example] }`),
    "sni=other.example client=none",
  );
  assert.equal(await answer(backend, `{ mode: SIMPLE, ${ca}, subjectAltNames: [wrong.example] }`), "503");
  // This machine does not trust the test's root.
  assert.equal(await answer(backend, `{ mode: SIMPLE }`), "503");
  assert.equal(await answer(backend, `{ mode: SIMPLE, insecureSkipVerify: true }`), `sni=${host} client=none`);
});

Deno.test("the host that a request is for must be among the names of the certificate where a rule names none", async () => {
  await using root = await TestRoot.make();
  await using backend = await TlsBackend.start(root, "DNS:other.example");
  const ca = `caCertificates: ${root.directory}/root.pem`;
  assert.equal(await answer(backend, `{ mode: SIMPLE, ${ca} }`), "503");
  assert.equal(await answer(backend, `{ mode: SIMPLE, ${ca}, sni: other.example }`), "503");
  assert.equal(
    await answer(backend, `{ mode: SIMPLE, ${ca}, subjectAltNames: [other.example] }`),
    `sni=${host} client=none`,
  );
});

Deno.test("MUTUAL shows a certificate from files or of a credential", async () => {
  await using root = await TestRoot.make();
  await using backend = await TlsBackend.start(root, `DNS:${host}`, true);
  const { certificate, privateKey } = await root.issue("me", "DNS:me");
  const path = (name: string) => `${root.directory}/${name}`;
  const ca = `caCertificates: ${path("root.pem")}`;
  const own = `clientCertificate: ${path("me.pem")}, privateKey: ${path("me.key")}`;
  assert.equal(await answer(backend, `{ mode: MUTUAL, ${ca}, ${own} }`), `sni=${host} client=me`);
  assert.equal(await answer(backend, `{ mode: SIMPLE, ${ca} }`), "503");
  await Deno.mkdir(path("credentials/api"), { recursive: true });
  await Deno.writeTextFile(path("credentials/api/tls.crt"), certificate);
  await Deno.writeTextFile(path("credentials/api/tls.key"), privateKey);
  await Deno.writeTextFile(path("credentials/api/ca.crt"), root.certificate);
  const byName = "{ mode: MUTUAL, credentialName: api }";
  assert.equal(await answer(backend, byName, path("credentials")), `sni=${host} client=me`);
});

Deno.test("a server whose certificate is revoked is not spoken to", async () => {
  await using root = await TestRoot.make();
  await using backend = await TlsBackend.start(root, `DNS:${host}`);
  const { directory } = root;
  const crl = await root.revocationList("server");
  const none = await root.revocationList();
  const ca = `caCertificates: ${directory}/root.pem`;
  assert.equal(await answer(backend, `{ mode: SIMPLE, ${ca}, caCrl: ${none} }`), `sni=${host} client=none`);
  assert.equal(await answer(backend, `{ mode: SIMPLE, ${ca}, caCrl: ${crl} }`), "503");
  assert.equal(await openssl(directory, "verify", "-CAfile", "root.pem", "server.pem"), "server.pem: OK\n");
});

Deno.test("requests for several hosts behind one cluster go over connections of their own names", async () => {
  await using root = await TestRoot.make();
  await using backend = await TlsBackend.start(
    root,
    `DNS:${host},DNS:${host}.default,DNS:${host}.default.svc.cluster.local`,
  );
  const tls = `{ mode: SIMPLE, caCertificates: ${root.directory}/root.pem }`;
  await using service = await CompiledService.start([[backend]], { trafficPolicy: `{ tls: ${tls} }` });
  for (const name of [host, `${host}.default`, host, `${host}.default.svc.cluster.local`]) {
    assert.equal((await service.request("/", { host: name })).body, `sni=${name} client=none`);
  }
});
