/** Secrets by Istio's names and in resources: from xDS to the certificate that a client sees. */
import assert from "node:assert/strict";
import { once } from "node:events";
import tls from "node:tls";
import type { JsonObject } from "@bufbuild/protobuf";
import { TestRoot } from "./tls_certificates.ts";
import { Edge, sds } from "./tls_edge.ts";
import { echo, TcpServer, text, until } from "./tcp_peers.ts";

/** What is logged about secrets while it lives. */
class SecretLog implements Disposable {
  readonly lines: string[] = [];
  readonly #write = Deno.stderr.writeSync;

  constructor() {
    Deno.stderr.writeSync = (bytes) => {
      const line = text(bytes);
      if (!line.includes(" secrets: ")) return this.#write.call(Deno.stderr, bytes);
      this.lines.push(line);
      return bytes.length;
    };
  }

  [Symbol.dispose](): void {
    Deno.stderr.writeSync = this.#write;
  }
}

Deno.test("certificates come from named files, from credentials and from the resource itself", async () => {
  using log = new SecretLog();
  await using root = await TestRoot.make();
  await using backend = new TcpServer(echo);
  await using edge = await Edge.open(root, backend.port);
  const inline = await root.issue("inline", "DNS:inline");
  await root.issue("files", "DNS:files");
  await edge.credential("shop-credential", "shop");
  const path = (name: string) => `${root.directory}/${name}`;
  const source = (inlineString: string) => ({ inlineString });
  await edge.listen({
    inline: {
      common: {
        tlsCertificates: [{ certificateChain: source(inline.certificate), privateKey: source(inline.privateKey) }],
      },
    },
    files: {
      common: {
        tlsCertificates: [
          { certificateChain: { filename: path("files.pem") }, privateKey: { filename: path("files.key") } },
        ],
      },
    },
    named: {
      common: { tlsCertificateSdsSecretConfigs: [sds(`file-cert:${path("files.pem")}~${path("files.key")}`)] },
    },
    shop: { common: { tlsCertificateSdsSecretConfigs: [sds("kubernetes://shop-credential")] } },
    missing: { common: { tlsCertificateSdsSecretConfigs: [sds("kubernetes://missing")] } },
  });
  assert.equal(await edge.sees("inline"), "inline");
  assert.equal(await edge.sees("files"), "files");
  assert.equal(await edge.sees("named"), "files");
  assert.equal(await edge.sees("shop"), "shop");
  assert.equal(await edge.sees("missing"), "refused");
  assert.equal(log.lines.length, 1);
  assert.match(log.lines[0], /error secrets: secret kubernetes:\/\/missing: there is no file .*missing\/tls\.crt;/);
  await edge.credential("missing", "found");
  await until(async () => await edge.sees("missing") === "found", "the credential that came later is taken");
});

Deno.test("client certificates are held against a bundle from a file, a credential or the resource", async () => {
  using _log = new SecretLog();
  await using root = await TestRoot.make();
  await using stranger = await TestRoot.make();
  await using backend = new TcpServer(echo);
  await using edge = await Edge.open(root, backend.port);
  await edge.credential("shop", "shop");
  await edge.write("shop/ca.crt", root.certificate);
  await edge.write("other/ca.crt", stranger.certificate);
  await root.issue("me", "DNS:me");
  const own = ["-cert", "me.pem", "-key", "me.key"];
  const certificate = { tlsCertificateSdsSecretConfigs: [sds("kubernetes://shop")] };
  const required = (validation: JsonObject) => ({
    common: { ...certificate, ...validation },
    more: { requireClientCertificate: true },
  });
  await edge.listen({
    file: required({ validationContextSdsSecretConfig: sds(`file-root:${root.directory}/root.pem`) }),
    credential: required({ validationContextSdsSecretConfig: sds("kubernetes://shop-cacert") }),
    inline: required({ validationContext: { trustedCa: { inlineString: root.certificate } } }),
    stranger: required({ validationContextSdsSecretConfig: sds("kubernetes://other-cacert") }),
    optional: { common: { ...certificate, validationContextSdsSecretConfig: sds("kubernetes://shop-cacert") } },
  });
  for (const name of ["file", "credential", "inline"]) {
    assert.equal(await edge.sees(name, ...own), "shop", name);
    assert.equal(await edge.sees(name), "refused", name);
  }
  assert.equal(await edge.sees("stranger", ...own), "refused");
  assert.equal(await edge.sees("optional", ...own), "shop");
  assert.equal(await edge.sees("optional"), "shop");
});

Deno.test("files that are replaced are taken over while connections stay; broken ones are not, and the log says so once", async () => {
  using log = new SecretLog();
  await using root = await TestRoot.make();
  await using backend = new TcpServer(echo);
  await using edge = await Edge.open(root, backend.port);
  await edge.credential("shop", "before");
  await edge.listen({ shop: { common: { tlsCertificateSdsSecretConfigs: [sds("kubernetes://shop")] } } });
  assert.equal(await edge.sees("shop"), "before");
  // The listener knows the server name `shop`, of which the certificate says nothing.
  const old = tls.connect({ host: "127.0.0.1", port: edge.port, servername: "shop", rejectUnauthorized: false });
  await once(old, "secureConnect");
  const answers = async (line: string) => {
    old.write(line);
    return text((await once(old, "data"))[0]);
  };
  assert.equal(await answers("one\n"), "one\n");

  await edge.write("shop/tls.crt", "not a certificate\n");
  await until(() => log.lines.length > 0, "the broken file is complained about");
  // Looked at many more times, it is still the same file.
  for (let i = 0; i < 5; i++) assert.equal(await edge.sees("shop"), "before");
  assert.equal(log.lines.length, 1, log.lines.join(""));
  assert.match(log.lines[0], /error secrets: secret kubernetes:\/\/shop: .* inForce="the last good one"/);

  await edge.credential("shop", "after");
  await until(async () => await edge.sees("shop") === "after", "the new certificate is taken over");
  await until(() => log.lines.length === 2, "the log tells of it");
  assert.match(log.lines[1], /info +secrets: secret taken over from its files/);
  assert.equal(await answers("two\n"), "two\n");
  old.destroy();
});
