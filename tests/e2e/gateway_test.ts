import assert from "node:assert/strict";
import { BookinfoMesh } from "../../scripts/demo/bookinfo_mesh.ts";
import { until } from "../../scripts/demo/harness/until.ts";
import { client, TestRoot } from "../data_plane/tls_certificates.ts";

const secured = `
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: { name: bookinfo-gateway }
spec:
  selector: { istio: ingressgateway }
  servers:
    - port: { number: 8443, name: https, protocol: HTTPS }
      hosts: [bookinfo.example]
      tls: { mode: SIMPLE, credentialName: bookinfo }
`;

Deno.test("bookinfo is reached from outside, over HTTP and over TLS with a certificate that is replaced", async () => {
  await using bookinfo = await BookinfoMesh.start({ placement: [[["productpage", "v1"]]] });
  await using root = await TestRoot.make();
  const { mesh } = bookinfo;
  bookinfo.apply("bookinfo-gateway.yaml");
  using browser = bookinfo.outsider();
  const url = bookinfo.gatewayPage;
  await until("the page answers", async () => (await browser.get(url)).status === 200);
  assert.equal((await browser.get(new URL("/other", url).href)).status, 404);

  const folder = `${mesh.agentDir("vm-1")}/credentials/bookinfo`;
  const use = async (name: string) => {
    const { certificate, privateKey } = await root.issue(name, `DNS:${name}`);
    await Deno.mkdir(folder, { recursive: true });
    await Deno.writeTextFile(`${folder}/tls.key`, privateKey);
    await Deno.writeTextFile(`${folder}/tls.crt`, certificate);
  };
  await use("bookinfo.example");
  mesh.apply(secured);
  const { hostname } = new URL(url);
  const page = async (): Promise<string> => {
    const request = "GET /productpage HTTP/1.1\r\nHost: bookinfo.example\r\nConnection: close\r\n\r\n";
    const args = ["-connect", `${hostname}:8443`, "-servername", "bookinfo.example"];
    return await client(root, 8443, args, request, /<\/html>/i);
  };
  await until("the page answers over TLS", async () => /^HTTP\/1\.1 200/m.test(await page()));
  assert.match(await page(), /subject=CN ?= ?bookinfo\.example/);
  await use("renewed.example");
  await until("the new certificate is shown", async () => /subject=CN ?= ?renewed\.example/.test(await page()));
  await until("the port that no server has any more is closed", async () => {
    return await browser.get(url).then(() => false, () => true);
  });
});
