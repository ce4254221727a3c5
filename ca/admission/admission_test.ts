import { deepEqual, equal, ok, rejects, throws } from "node:assert/strict";
import { join } from "node:path";
import { exportJWK, generateKeyPair, SignJWT, UnsecuredJWT } from "jose";
import { crashAt } from "../testing/crash.ts";
import { temporaryDirectory } from "../testing/directory.ts";
import { Authority } from "../authority/authority.ts";
import { parseServiceAccount } from "../spiffe/spiffe_id.ts";
import { createCertificateSigningRequest } from "../x509/signing_request.ts";
import { Admission } from "./admission.ts";
import { readToken } from "./join_token.ts";
import { openTokenKey } from "./token_key.ts";

const trustDomain = "cluster.local";
const hour = 3600_000;
const reviews = "default/bookinfo-reviews";
const ratings = "default/bookinfo-ratings";

async function requestFor(identity: string) {
  const { csrPem } = await createCertificateSigningRequest(parseServiceAccount(identity, trustDomain));
  return { identity, csr: csrPem };
}

/** A fresh data directory with its admission and a maker of tokens. */
async function fixture(now: () => number = Date.now) {
  const directory = await temporaryDirectory();
  const rootCertificate = (await Authority.open({ dataDir: directory.path, trustDomain })).trustBundle();
  const opened: Admission[] = [];
  const open = async (domain = trustDomain) => {
    const admission = await Admission.open({ dataDir: directory.path, trustDomain: domain, now });
    opened.push(admission);
    return admission;
  };
  const tokenOptions = (more: { uses?: number; ttl?: number; identities?: string[] } = {}) => ({
    identities: [reviews],
    uses: 1,
    ttl: hour,
    joinAddresses: ["127.0.0.1:15011", "[::1]:15011"],
    xdsAddresses: ["mesh.example.com:15012"],
    rootCertificate,
    ...more,
  });
  return {
    dataDir: directory.path,
    rootCertificate,
    open,
    tokenOptions,
    async [Symbol.asyncDispose]() {
      opened.forEach((admission) => admission.close());
      await directory[Symbol.asyncDispose]();
    },
  };
}

Deno.test("an agent reads from its token where to join and whom to trust", async () => {
  const now = Date.parse("2026-01-01T00:00:00Z");
  await using mesh = await fixture(() => now);
  const token = await (await mesh.open()).createToken(mesh.tokenOptions());
  deepEqual(readToken(`${token}\n`), {
    trustDomain,
    joinAddresses: ["127.0.0.1:15011", "[::1]:15011"],
    xdsAddresses: ["mesh.example.com:15012"],
    rootCertificate: mesh.rootCertificate,
    identities: [reviews],
    expires: new Date(now + hour),
  });
  for (const text of ["", "x", "a.b.c", new UnsecuredJWT({ aud: "skiff-join" }).encode(), "x".repeat(70_000)]) {
    throws(() => readToken(text), { name: "AdmissionError", code: "invalid_token" });
  }
});

Deno.test("refuses to make a token that could not serve", async () => {
  await using mesh = await fixture();
  const admission = await mesh.open();
  const good = mesh.tokenOptions();
  for (
    const bad of [
      { ...good, identities: [] },
      { ...good, uses: 0 },
      { ...good, uses: 1.5 },
      { ...good, ttl: 0 },
      { ...good, ttl: NaN },
      { ...good, joinAddresses: [] },
      { ...good, joinAddresses: ["127.0.0.1"] },
      { ...good, xdsAddresses: ["127.0.0.1:99999"] },
      { ...good, rootCertificate: "" },
    ]
  ) await rejects(admission.createToken(bad), { code: "bad_request" });
  await rejects(admission.createToken({ ...good, identities: ["reviews"] }), { name: "SpiffeIdError" });
});

Deno.test("a token admits as often as it may, also after a restart", async () => {
  await using mesh = await fixture();
  const admission = await mesh.open();
  const token = await admission.createToken(mesh.tokenOptions({ uses: 2 }));
  const [admitted] = await admission.admit(token, [await requestFor(reviews)]);
  deepEqual(admitted.id, parseServiceAccount(reviews, trustDomain));
  const restarted = await mesh.open();
  await restarted.admit(token, [await requestFor(reviews)]);
  const third = [await requestFor(reviews)];
  await rejects(restarted.admit(token, third), { code: "used_up_token", status: 403 });
  await rejects(admission.admit(token, third), { code: "used_up_token" });
});

Deno.test("of many joins at once with a token for one, through two openings of the record, exactly one succeeds", async () => {
  await using mesh = await fixture();
  const doors = [await mesh.open(), await mesh.open()];
  const token = await doors[0].createToken(mesh.tokenOptions());
  const requests = await Promise.all(Array.from({ length: 16 }, () => requestFor(reviews)));
  const outcomes = await Promise.allSettled(requests.map((request, i) => doors[i % 2].admit(token, [request])));
  equal(outcomes.filter(({ status }) => status === "fulfilled").length, 1);
  for (const outcome of outcomes) if (outcome.status === "rejected") equal(outcome.reason.code, "used_up_token");
});

Deno.test("one call for several identities is one use, and its repetition none", async () => {
  await using mesh = await fixture();
  const admission = await mesh.open();
  const token = await admission.createToken(mesh.tokenOptions({ identities: [reviews, ratings] }));
  const both = [await requestFor(reviews), await requestFor(ratings)];
  await admission.admit(token, both);
  await admission.admit(token, both.toReversed());
  await rejects(admission.admit(token, [both[0]]), { code: "used_up_token" });
  await rejects(admission.admit(token, [both[0], await requestFor(ratings)]), { code: "used_up_token" });
});

Deno.test("requests that are refused use up nothing", async () => {
  await using mesh = await fixture();
  const admission = await mesh.open();
  const token = await admission.createToken(mesh.tokenOptions());
  const good = await requestFor(reviews);
  await rejects(admission.admit(token, [await requestFor(ratings)]), { code: "identity_not_allowed", status: 403 });
  await rejects(admission.admit(token, [{ identity: "reviews", csr: good.csr }]), { code: "bad_request", status: 400 });
  await rejects(admission.admit(token, []), { code: "bad_request" });
  await rejects(admission.admit(token, [good, good]), { code: "bad_request" });
  await rejects(admission.admit(token, [{ ...good, csr: "x" }]), { code: "malformed_request" });
  await admission.admit(token, [good]);
});

Deno.test("refuses a token after its end, for a retry too", async () => {
  let now = Date.now();
  await using mesh = await fixture(() => now);
  const admission = await mesh.open();
  const token = await admission.createToken(mesh.tokenOptions());
  const requests = [await requestFor(reviews)];
  await admission.admit(token, requests);
  now += hour + 1000;
  await rejects(admission.admit(token, requests), { code: "expired_token", status: 401 });
});

Deno.test("refuses tokens of another mesh, another key, another purpose, another algorithm, or altered ones", async () => {
  await using mesh = await fixture();
  await using other = await fixture();
  const admission = await mesh.open();
  const token = await admission.createToken(mesh.tokenOptions());
  const foreign = await (await other.open()).createToken(other.tokenOptions());
  const otherDomain = await (await mesh.open("example.org")).createToken(mesh.tokenOptions());
  const requests = [await requestFor(reviews)];
  const [header, payload, signature] = token.split(".");

  const claims = { ids: [reviews, ratings], uses: 99, exp: Math.floor(Date.now() / 1000) + 60, jti: "x" };
  const stranger = await generateKeyPair("ES256", { extractable: true });
  const secret = new TextEncoder().encode(JSON.stringify(await exportJWK(stranger.publicKey)));
  const sign = (alg: string, key: Parameters<SignJWT["sign"]>[0]) =>
    new SignJWT(claims).setProtectedHeader({ alg }).setIssuer(trustDomain).setAudience("skiff-join").sign(key);
  const altered = JSON.parse(atob(payload.replaceAll("-", "+").replaceAll("_", "/")));
  const alteredPayload = btoa(JSON.stringify({ ...altered, uses: 99 })).replaceAll("+", "-").replaceAll("/", "_")
    .replaceAll("=", "");

  const bad = [
    "",
    foreign,
    otherDomain,
    await sign("ES256", stranger.privateKey),
    await sign("HS256", secret),
    new UnsecuredJWT(claims).setIssuer(trustDomain).setAudience("skiff-join").encode(),
    `${header}.${alteredPayload}.${signature}`,
    `${header}.${payload}.`,
    `${header}.${payload}.${signature.slice(0, -4)}AAAA`,
  ];
  for (const text of bad) await rejects(admission.admit(text, requests), { code: "invalid_token", status: 401 });
  await admission.admit(token, requests);
});

Deno.test("refuses a token of its own key that is not for joining", async () => {
  await using mesh = await fixture();
  const admission = await mesh.open();
  const { privateKey } = await openTokenKey(mesh.dataDir);
  const claims = new SignJWT({ ids: [reviews], uses: 1, jti: "x" }).setProtectedHeader({ alg: "ES256" })
    .setIssuer(trustDomain).setExpirationTime("1h");
  const requests = [await requestFor(reviews)];
  await rejects(admission.admit(await claims.setAudience("api").sign(privateKey), requests), { code: "invalid_token" });
  await admission.admit(await claims.setAudience("skiff-join").sign(privateKey), requests);
});

Deno.test("the token key and the record of uses are their owner's alone, and a damaged key is named", async () => {
  await using mesh = await fixture();
  await mesh.open();
  for (const name of ["token-key.pem", "admission.db", "admission.db-wal"]) {
    equal(((await Deno.stat(join(mesh.dataDir, "ca", name))).mode ?? 0) & 0o777, 0o600, name);
  }
  await Deno.writeTextFile(join(mesh.dataDir, "ca/token-key.pem"), "");
  await rejects(mesh.open(), { name: "AuthorityError", code: "token_key_damaged" });
});

Deno.test("a crash at any step of making the token key leaves none or a whole one, and the next start succeeds", async () => {
  for (let step = 0;; step++) {
    await using dir = await temporaryDirectory();
    const crashed = await crashAt(step, () => openTokenKey(dir.path));
    await openTokenKey(dir.path);
    deepEqual(Array.from(Deno.readDirSync(join(dir.path, "ca")), (entry) => entry.name), ["token-key.pem"]);
    if (!crashed) {
      ok(step >= 8, `only ${step} steps were seen`);
      return;
    }
  }
});
