import assert from "node:assert/strict";
import { certificateSubject } from "./certificate_subject.ts";
import { clientCertElement } from "./forwarded_client_cert.ts";

async function openssl(...args: string[]): Promise<Uint8Array> {
  const { success, stdout, stderr } = await new Deno.Command("openssl", { args }).output();
  assert.ok(success, new TextDecoder().decode(stderr));
  return stdout;
}

/** A self-signed certificate as DER. */
async function certificate(subject: string, names = "DNS:a.example"): Promise<Uint8Array> {
  const key = await Deno.makeTempFile();
  try {
    const request = ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", key];
    return await openssl(
      ...request,
      "-utf8",
      "-subj",
      subject,
      "-addext",
      `subjectAltName=${names}`,
      "-outform",
      "DER",
    );
  } finally {
    await Deno.remove(key);
  }
}

Deno.test("the subject is written as OpenSSL writes it by RFC 2253", async () => {
  for (
    const subject of ['/C=DE/O=Acme, Inc./OU=A+OU=B "x" <y>/CN=edge;1', "/DC=org/DC=example/UID=u/CN= #x ", "/CN=ü"]
  ) {
    const der = await certificate(subject);
    const file = await Deno.makeTempFile();
    await Deno.writeFile(file, der);
    const text = new TextDecoder().decode(
      await openssl("x509", "-inform", "DER", "-in", file, "-noout", "-subject", "-nameopt", "RFC2253"),
    );
    await Deno.remove(file);
    assert.equal(certificateSubject(der), text.trimEnd().replace(/^subject= ?/, ""));
  }
});

Deno.test("bytes that are no certificate have no subject", async () => {
  const der = await certificate("/CN=a");
  for (let length = 0; length < der.length; length += 7) certificateSubject(der.subarray(0, length));
  assert.equal(certificateSubject(new Uint8Array([0x30, 0x82])), "");
});

Deno.test("names in a certificate cannot add parts, elements or headers", async () => {
  const der = await certificate('/CN=a"b', "URI:spiffe://x/a;By=spiffe://x/b,DNS:a b;c.example");
  const details = { subject: true, cert: false, chain: false, dns: true, uri: true };
  assert.match(
    clientCertElement([der], "spiffe://x/me", details),
    /^By=spiffe:\/\/x\/me;Hash=[0-9a-f]{64};Subject="CN=a\\\\\\"b";URI="spiffe:\/\/x\/a;By=spiffe:\/\/x\/b";DNS="a%20b;c\.example"$/,
  );
});
