import { deepEqual, equal, match, ok, rejects, throws } from "node:assert/strict";
import { join } from "node:path";
import { temporaryDirectory } from "../testing/directory.ts";
import { openssl } from "../testing/openssl.ts";
import { parseServiceAccount } from "../spiffe/spiffe_id.ts";
import { CertificateError, readCertificate } from "../x509/certificate.ts";
import { createCertificateSigningRequest } from "../x509/signing_request.ts";
import { decodePem } from "../x509/pem.ts";
import { Authority } from "./authority.ts";

const minute = 60_000;
const day = 24 * 60 * minute;
const reviews = parseServiceAccount("default/bookinfo-reviews", "cluster.local");
const ratings = parseServiceAccount("default/bookinfo-ratings", "cluster.local");

const der = (pem: string) => decodePem(pem, "CERTIFICATE")[0];

async function verifyWithOpenssl(dir: string, leaf: string, bundle: string, purpose: string, ...more: string[]) {
  await Deno.writeTextFile(join(dir, "bundle.pem"), bundle);
  await Deno.writeTextFile(join(dir, "leaf.pem"), leaf);
  return await openssl([
    "verify",
    "-x509_strict",
    "-purpose",
    purpose,
    "-CAfile",
    join(dir, "bundle.pem"),
    ...more,
    join(dir, "leaf.pem"),
  ]);
}

Deno.test("OpenSSL accepts a workload certificate for both ends of TLS, and sees the names and usages promised", async () => {
  await using dir = await temporaryDirectory();
  const authority = await Authority.open({ dataDir: dir.path, trustDomain: "cluster.local" });
  const { csrPem, privateKeyPem } = await createCertificateSigningRequest(reviews);
  const { chain, notAfter } = await authority.signWorkload(csrPem, reviews);

  equal(chain.length, 2);
  equal(chain[1], authority.trustBundle());
  for (const purpose of ["sslserver", "sslclient"]) {
    const verdict = await verifyWithOpenssl(dir.path, chain[0], authority.trustBundle(), purpose);
    ok(verdict.ok, verdict.text);
  }
  const { text } = await openssl(["x509", "-noout", "-text"], chain[0]);
  match(text, /Subject: *\n/);
  match(text, /Alternative Name: critical\s+URI:spiffe:\/\/cluster\.local\/ns\/default\/sa\/bookinfo-reviews\n/);
  match(text, /Key Usage: critical\s+Digital Signature\n/);
  match(text, /Extended Key Usage: \s+TLS Web Server Authentication, TLS Web Client Authentication\n/);
  match(text, /Basic Constraints: critical\s+CA:FALSE/);
  match(text, /Authority Key Identifier:/);
  const facts = readCertificate(chain[0]);
  deepEqual(facts.spiffeId, reviews);
  deepEqual(facts.notAfter, notAfter);
  equal(facts.serialNumber.length, 32);

  const publicOf = async (args: string[], pem: string) => (await openssl([...args, "-pubout"], pem)).text;
  const certified = (await openssl(["x509", "-noout", "-pubkey"], chain[0])).text;
  equal(certified, await publicOf(["pkey"], privateKeyPem));
});

Deno.test("OpenSSL accepts the control plane's certificate under its names, and refuses it under others", async () => {
  await using dir = await temporaryDirectory();
  const authority = await Authority.open({ dataDir: dir.path, trustDomain: "cluster.local" });
  const names = ["127.0.0.1", "::1", "localhost", "mesh.example.com"];
  const { chain } = await authority.issueServerCertificate(names, 365 * day);
  const verify = (...more: string[]) =>
    verifyWithOpenssl(dir.path, chain[0], authority.trustBundle(), "sslserver", ...more);
  for (const name of ["127.0.0.1", "::1"]) ok((await verify("-verify_ip", name)).ok);
  for (const name of ["localhost", "mesh.example.com"]) ok((await verify("-verify_hostname", name)).ok);
  ok(!(await verify("-verify_hostname", "other.example.com")).ok);
  ok(!(await verify("-verify_ip", "127.0.0.2")).ok);
  equal(readCertificate(chain[0]).spiffeId.serviceAccount, "skiff-controlplane");
  equal(authority.verifyPeer(der(chain[0])).namespace, "istio-system");
  for (const name of ["", "bad name", "127.0.0.1:15012", "[::1]", "fe80::1%eth0", "a..b", "a\0.example"]) {
    await rejects(authority.issueServerCertificate([name], day), { code: "bad_name" }, name);
  }
});

Deno.test("OpenSSL accepts the root as an authority that signs itself", async () => {
  await using dir = await temporaryDirectory();
  const root = (await Authority.open({ dataDir: dir.path, trustDomain: "example.org" })).trustBundle();
  const verdict = await verifyWithOpenssl(dir.path, root, root, "any", "-check_ss_sig");
  ok(verdict.ok, verdict.text);
  const { text } = await openssl(["x509", "-noout", "-text"], root);
  match(text, /Subject: O = example\.org/);
  match(text, /Basic Constraints: critical\s+CA:TRUE/);
  match(text, /Key Usage: critical\s+Certificate Sign, CRL Sign/);
  match(text, /Subject Key Identifier:/);
});

Deno.test("a lifetime is capped at the configured maximum and at the root's end, and starts a minute early", async () => {
  await using dir = await temporaryDirectory();
  let now = Date.parse("2026-01-01T00:00:00.900Z");
  const authority = await Authority.open({
    dataDir: dir.path,
    trustDomain: "cluster.local",
    workloadTtl: 60 * minute,
    now: () => now,
  });
  const { csrPem } = await createCertificateSigningRequest(reviews);
  const lifeOf = async (ttl?: number) => {
    const { chain, notAfter } = await authority.signWorkload(csrPem, reviews, ttl);
    equal(
      readCertificate(chain[0]).notBefore.toISOString(),
      new Date(now - minute).toISOString().replace(".900", ".000"),
    );
    return notAfter.getTime() - now;
  };
  equal(await lifeOf(), 60 * minute - 900);
  equal(await lifeOf(day), 60 * minute - 900);
  equal(await lifeOf(10 * minute), 10 * minute - 900);
  await rejects(authority.signWorkload(csrPem, reviews, 0), { code: "bad_lifetime" });
  await rejects(authority.signWorkload(csrPem, reviews, NaN), { code: "bad_lifetime" });

  const rootEnd = Date.parse("2035-12-30T00:00:00Z");
  now = rootEnd - 10 * minute + 900;
  equal(await lifeOf(), 10 * minute - 900);
  now = rootEnd;
  await rejects(authority.signWorkload(csrPem, reviews), { code: "root_expired" });
});

Deno.test("serial numbers do not repeat", async () => {
  await using dir = await temporaryDirectory();
  const authority = await Authority.open({ dataDir: dir.path, trustDomain: "cluster.local" });
  const { csrPem } = await createCertificateSigningRequest(reviews);
  const chains = await Promise.all(Array.from({ length: 20 }, () => authority.signWorkload(csrPem, reviews)));
  equal(new Set(chains.map(({ chain }) => readCertificate(chain[0]).serialNumber)).size, 20);
});

Deno.test("refuses to sign for another trust domain, and a request that names another identity", async () => {
  await using dir = await temporaryDirectory();
  const authority = await Authority.open({ dataDir: dir.path, trustDomain: "cluster.local" });
  const { csrPem } = await createCertificateSigningRequest(ratings);
  await rejects(authority.signWorkload(csrPem, reviews), { code: "foreign_names" });
  const foreign = { ...reviews, trustDomain: "evil.example" };
  const other = await createCertificateSigningRequest(foreign);
  await rejects(authority.signWorkload(other.csrPem, foreign), { code: "foreign_trust_domain" });
});

Deno.test("knows its own certificates, while they are valid, from those of an authority of the same name", async () => {
  await using mine = await temporaryDirectory();
  await using theirs = await temporaryDirectory();
  let now = Date.now();
  const options = { trustDomain: "cluster.local", now: () => now };
  const authority = await Authority.open({ ...options, dataDir: mine.path });
  const impostor = await Authority.open({ ...options, dataDir: theirs.path });
  const { csrPem } = await createCertificateSigningRequest(reviews);
  const own = der((await authority.signWorkload(csrPem, reviews)).chain[0]);
  const forged = der((await impostor.signWorkload(csrPem, reviews)).chain[0]);

  deepEqual(authority.verifyPeer(own), reviews);
  throws(() => authority.verifyPeer(forged), CertificateError);
  throws(() => authority.verifyPeer(der(authority.trustBundle())), CertificateError);
  throws(() => authority.verifyPeer(own.subarray(0, 100)), CertificateError);
  now += 25 * 60 * minute;
  throws(() => authority.verifyPeer(own), /expired/);
  now -= 26 * 60 * minute;
  throws(() => authority.verifyPeer(own), /not valid before/);
});
