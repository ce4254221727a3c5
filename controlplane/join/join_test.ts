import { deepEqual, equal, match, notEqual, ok, rejects } from "node:assert/strict";
import { join } from "node:path";
import { Admission } from "../../ca/admission/admission.ts";
import { readToken } from "../../ca/admission/join_token.ts";
import { Authority } from "../../ca/authority/authority.ts";
import { parseServiceAccount } from "../../ca/spiffe/spiffe_id.ts";
import { temporaryDirectory } from "../../ca/testing/directory.ts";
import { openssl } from "../../ca/testing/openssl.ts";
import { readCertificate } from "../../ca/x509/certificate.ts";
import { createCertificateSigningRequest } from "../../ca/x509/signing_request.ts";
import { joinApp } from "./join_app.ts";
import { startJoinServer } from "./join_server.ts";

const trustDomain = "cluster.local";
const hour = 3600_000;
const reviews = "default/bookinfo-reviews";
const ratings = "default/bookinfo-ratings";

async function requestFor(identity: string) {
  const { csrPem } = await createCertificateSigningRequest(parseServiceAccount(identity, trustDomain));
  return { identity, csr: csrPem };
}

/** A control plane's join port on a free port of loopback. */
async function controlPlane() {
  const directory = await temporaryDirectory();
  const authority = await Authority.open({ dataDir: directory.path, trustDomain });
  const admission = await Admission.open({ dataDir: directory.path, trustDomain });
  const issued = await authority.issueServerCertificate(["127.0.0.1"], hour);
  const app = joinApp({ authority, admission, xdsAddresses: ["127.0.0.1:15012"] });
  const server = startJoinServer({
    listen: { host: "127.0.0.1", port: 0 },
    certificate: issued.chain.join(""),
    key: issued.privateKey,
    app,
  });
  return {
    dataDir: directory.path,
    authority,
    server,
    token: (uses = 1) =>
      admission.createToken({
        identities: [reviews, ratings],
        uses,
        ttl: hour,
        joinAddresses: [`127.0.0.1:${server.port}`],
        xdsAddresses: ["127.0.0.1:15012"],
        rootCertificate: authority.trustBundle(),
      }),
    async [Symbol.asyncDispose]() {
      await server.shutdown();
      admission.close();
      await directory[Symbol.asyncDispose]();
    },
  };
}

/** Posts as an agent does: trusting nothing but the root certificate of its token. */
async function post(address: string, rootCertificate: string, body: BodyInit, path = "/v1/join") {
  using client = Deno.createHttpClient({ caCerts: [rootCertificate] });
  const response = await fetch(`https://${address}${path}`, { method: "POST", body, client });
  return { status: response.status, headers: response.headers, json: await response.json() };
}

Deno.test("an agent joins with its token alone, and leaves with certificates that OpenSSL accepts", async () => {
  await using mesh = await controlPlane();
  const token = await mesh.token();
  const { joinAddresses, rootCertificate } = readToken(token);
  const requests = [await requestFor(reviews), await requestFor(ratings)];
  const { status, json } = await post(joinAddresses[0], rootCertificate, JSON.stringify({ token, requests }));
  equal(status, 200);
  deepEqual(json.controlPlane, ["127.0.0.1:15012"]);
  equal(json.trustDomain, trustDomain);
  equal(json.trustBundle, rootCertificate);
  deepEqual(json.certificates.map((one: { identity: string }) => one.identity), [reviews, ratings]);
  const root = join(mesh.dataDir, "root.pem");
  await Deno.writeTextFile(root, rootCertificate);
  for (const { identity, chain, notAfter } of json.certificates) {
    const facts = readCertificate(chain[0]);
    deepEqual(facts.spiffeId, parseServiceAccount(identity, trustDomain));
    equal(facts.notAfter.toISOString(), notAfter);
    const verdict = await openssl(["verify", "-x509_strict", "-purpose", "sslclient", "-CAfile", root], chain[0]);
    ok(verdict.ok, verdict.text);
  }
});

Deno.test("an agent does not join a control plane that its token does not name", async () => {
  await using mesh = await controlPlane();
  await using impostor = await controlPlane();
  const { rootCertificate } = readToken(await mesh.token());
  await rejects(post(`127.0.0.1:${impostor.server.port}`, rootCertificate, "{}"), (error) => {
    match(Deno.inspect(error), /invalid peer certificate/);
    return true;
  });
});

Deno.test("of agents that join at once with a token for one, one does, and may ask again; the others are told why", async () => {
  await using mesh = await controlPlane();
  const token = await mesh.token();
  const bodies = await Promise.all(
    Array.from({ length: 8 }, async () => JSON.stringify({ token, requests: [await requestFor(reviews)] })),
  );
  const address = `127.0.0.1:${mesh.server.port}`;
  const root = mesh.authority.trustBundle();
  const answers = await Promise.all(bodies.map((body) => post(address, root, body)));
  const winner = answers.findIndex(({ status }) => status === 200);
  for (const [i, { status, json }] of answers.entries()) {
    if (i === winner) continue;
    equal(status, 403);
    match(json.error, /has had its one use/);
    match(json.hint, /skiff token create/);
  }
  const again = await post(address, root, bodies[winner]);
  equal(again.status, 200);
  notEqual(again.json.certificates[0].chain[0], answers[winner].json.certificates[0].chain[0]);
});

Deno.test("refuses calls that are no join calls, each with what would be right", async () => {
  await using mesh = await controlPlane();
  const token = await mesh.token();
  const good = await requestFor(reviews);
  const foreign = { identity: "default/other", csr: good.csr };
  const weak = {
    identity: reviews,
    csr: (await openssl(["req", "-new", "-newkey", "rsa:1024", "-nodes", "-subj", "/", "-keyout", "/dev/null"])).text,
  };
  const cases: [BodyInit, number, RegExp][] = [
    ["hello", 400, /not JSON/],
    ["[]", 400, /not an object/],
    [JSON.stringify({ requests: [good] }), 400, /token/],
    [JSON.stringify({ token, requests: [] }), 400, /requests/],
    [JSON.stringify({ token, requests: [{ identity: 1 }] }), 400, /requests\[0\]/],
    [JSON.stringify({ token: "x", requests: [good] }), 401, /not a join token of this control plane/],
    [JSON.stringify({ token, requests: [foreign] }), 403, /not for default\/other/],
    [JSON.stringify({ token, requests: [weak] }), 400, /1024/],
    [" ".repeat(300 * 1024), 413, /larger/],
  ];
  for (const [body, status, error] of cases) {
    const answer = await post(`127.0.0.1:${mesh.server.port}`, mesh.authority.trustBundle(), body);
    equal(answer.status, status, JSON.stringify(answer.json));
    match(answer.json.error, error);
    ok(answer.json.hint);
  }
});

Deno.test("a body without length is cut off at the limit", async () => {
  await using mesh = await controlPlane();
  let sent = 0;
  const endless = new ReadableStream({
    pull(controller) {
      sent += 16 * 1024;
      controller.enqueue(new Uint8Array(16 * 1024).fill(32));
      if (sent > 64 * 1024 * 1024) controller.close();
    },
  });
  const outcome = await post(`127.0.0.1:${mesh.server.port}`, mesh.authority.trustBundle(), endless).catch(() => null);
  if (outcome !== null) equal(outcome.status, 413);
  ok(sent < 32 * 1024 * 1024, `${sent} bytes were taken`);
});

Deno.test("an address whose calls keep failing has to wait, and is told for how long", async () => {
  await using mesh = await controlPlane();
  const call = (body: string) => post(`127.0.0.1:${mesh.server.port}`, mesh.authority.trustBundle(), body);
  for (let i = 0; i < 10; i++) equal((await call("{}")).status, 400);
  const good = JSON.stringify({ token: await mesh.token(), requests: [await requestFor(reviews)] });
  const refused = await call(good);
  equal(refused.status, 429);
  ok(Number(refused.headers.get("retry-after")) >= 1);
});

Deno.test("other paths and methods are answered in JSON", async () => {
  await using mesh = await controlPlane();
  const address = `127.0.0.1:${mesh.server.port}`;
  equal((await post(address, mesh.authority.trustBundle(), "{}", "/")).status, 404);
  using client = Deno.createHttpClient({ caCerts: [mesh.authority.trustBundle()] });
  const get = await fetch(`https://${address}/v1/join`, { client });
  equal(get.status, 405);
  ok((await get.json()).hint);
});
