import assert from "node:assert/strict";
import fc from "fast-check";
import { certificateNames, spiffePrincipal } from "./certificate_names.ts";

const spiffe = "spiffe://cluster.local/ns/default/sa/reviews";

/** A self-signed certificate (DER) of the `openssl` program with this value of subjectAltName; `null`: without one. */
async function certificate(subjectAltName: string | null): Promise<Uint8Array> {
  const directory = await Deno.makeTempDir();
  try {
    const extension = subjectAltName === null ? [] : ["-addext", `subjectAltName=${subjectAltName}`];
    const { success, stdout, stderr } = await new Deno.Command("openssl", {
      args: [
        ...["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "1"],
        ...["-subj", "/O=test", "-keyout", `${directory}/key.pem`, "-outform", "DER", ...extension],
      ],
    }).output();
    assert.ok(success, new TextDecoder().decode(stderr));
    return stdout;
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
}

Deno.test("reads names of every kind", async () => {
  const der = await certificate(`URI:${spiffe},DNS:reviews.default,IP:127.0.0.1,email:a@b.c,DNS:reviews`);
  assert.deepEqual(certificateNames(der), {
    uris: [spiffe],
    dnsNames: ["reviews.default", "reviews"],
    emails: ["a@b.c"],
    addresses: ["127.0.0.1"],
  });
  assert.equal(spiffePrincipal(der), spiffe);
});

Deno.test("a certificate without alternative names has no identity", async () => {
  const der = await certificate(null);
  assert.deepEqual(certificateNames(der), { uris: [], dnsNames: [], emails: [], addresses: [] });
  assert.equal(spiffePrincipal(der), "");
});

Deno.test("a certificate with several URI names has no identity", async () => {
  const der = await certificate(`URI:${spiffe},URI:spiffe://cluster.local/ns/default/sa/admin`);
  assert.equal(certificateNames(der).uris.length, 2);
  assert.equal(spiffePrincipal(der), "");
  assert.equal(spiffePrincipal(await certificate(`URI:${spiffe},URI:${spiffe}`)), "");
});

Deno.test("a name that is not a plain SPIFFE identity is none", async () => {
  const names = [
    "https://cluster.local/ns/default/sa/reviews",
    "spiffe://cluster.local",
    "spiffe://cluster.local/",
    "spiffe://cluster.local//sa",
    "spiffe://Cluster.Local/ns/default/sa/reviews",
    "spiffe://user@cluster.local/ns/default/sa/reviews",
    "spiffe://cluster.local:80/ns/default/sa/reviews",
    "spiffe://cluster.local/ns/default/sa/reviews?x=y",
    "spiffe://cluster.local/ns/default/sa/%61",
  ];
  for (const name of names) assert.equal(spiffePrincipal(await certificate(`URI:${name}`)), "", name);
});

/** The certificate with one byte of its URI name replaced. */
function withByte(der: Uint8Array, at: number, byte: number): Uint8Array {
  const changed = der.slice();
  const start = new TextDecoder("latin1").decode(der).indexOf("spiffe://");
  changed[start + at] = byte;
  return changed;
}

Deno.test("NUL and other control bytes in a name do not end it: it is no identity", async () => {
  const der = await certificate(`URI:${spiffe}`);
  assert.equal(spiffePrincipal(withByte(der, spiffe.length - 1, 0x73)), spiffe);
  for (const byte of [0, 10, 13, 32, 34, 44, 59, 127, 200]) {
    const changed = withByte(der, spiffe.length - 3, byte);
    assert.equal(certificateNames(changed).uris[0].length, spiffe.length, "the name is read with its length");
    assert.equal(spiffePrincipal(changed), "", `byte ${byte}`);
  }
});

Deno.test("a certificate cut short or damaged anywhere never throws and gives no other identity", async () => {
  const der = await certificate(`URI:${spiffe}`);
  for (let size = 0; size < der.length; size++) {
    assert.equal(spiffePrincipal(der.subarray(0, size)), "", `${size} bytes`);
  }
  const outside = der.slice();
  fc.assert(
    fc.property(fc.array(fc.tuple(fc.nat(der.length - 1), fc.nat(255)), { maxLength: 5 }), (changes) => {
      outside.set(der);
      for (const [at, byte] of changes) outside[at] = byte;
      assert.match(spiffePrincipal(outside), /^(spiffe:\/\/[a-z0-9._-]+(\/[A-Za-z0-9._-]+)+)?$/);
    }),
    { numRuns: 3000 },
  );
  fc.assert(fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => assert.equal(spiffePrincipal(bytes), "")));
});
