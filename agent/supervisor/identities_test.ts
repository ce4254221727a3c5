import assert from "node:assert/strict";
import { setTimeout as delay } from "node:timers/promises";
import { Admission } from "../../ca/admission/admission.ts";
import { Authority } from "../../ca/authority/authority.ts";
import { parseServiceAccount } from "../../ca/spiffe/spiffe_id.ts";
import { temporaryDirectory } from "../../ca/testing/directory.ts";
import { startTestControlPlane } from "../discovery/testdata/test_control_plane.ts";
import { AgentStartError } from "./agent_start_error.ts";
import { Identities } from "./identities.ts";
import { IdentityStore } from "./identity_store.ts";
import { renewalTime } from "./renewal.ts";

const trustDomain = "cluster.local";
const reviews = "default/reviews";

/** A real authority behind a small join port and a gRPC port; certificates live `ttl` milliseconds. */
async function openMesh(ttl: number) {
  const directory = await temporaryDirectory();
  const authority = await Authority.open({ dataDir: directory.path, trustDomain, workloadTtl: ttl });
  const admission = await Admission.open({ dataDir: directory.path, trustDomain });
  const { chain, privateKey } = await authority.issueServerCertificate(["127.0.0.1"], 3_600_000);
  const asked: string[] = [];
  let refuse: string | null = null;
  const join = Deno.serve(
    { hostname: "127.0.0.1", port: 0, cert: chain.join(""), key: privateKey, onListen: () => {} },
    async (request) => {
      const { token, requests } = await request.json();
      asked.push(new URL(request.url).pathname);
      if (refuse !== null) return Response.json({ error: refuse, hint: "ask again" }, { status: 403 });
      const admitted = await admission.admit(token, requests);
      const certificates = await Promise.all(admitted.map(async ({ id, csr }) => {
        const { chain, notAfter } = await authority.signWorkload(csr, id);
        return { identity: `${id.namespace}/${id.serviceAccount}`, chain, notAfter };
      }));
      const controlPlane = [`127.0.0.1:${grpc.port}`];
      return Response.json({ certificates, trustBundle: authority.trustBundle(), controlPlane, trustDomain });
    },
  );
  let signed = 0;
  const identity = { certificateChain: chain[0], privateKey, trustBundle: authority.trustBundle() };
  const grpc = await startTestControlPlane(identity, {
    sign: async ({ csr }) => {
      if (signed++ === 0) throw new Error("not now");
      return { certChain: (await authority.signWorkload(csr, parseServiceAccount(reviews, trustDomain))).chain };
    },
  });
  return {
    agentDir: `${directory.path}/agent`,
    asked,
    authority,
    refuseWith: (message: string) => refuse = message,
    signed: () => signed,
    token: (...identities: string[]) =>
      admission.createToken({
        identities,
        uses: 1,
        ttl: 3_600_000,
        joinAddresses: [`127.0.0.1:${join.addr.port}`],
        xdsAddresses: [`127.0.0.1:${grpc.port}`],
        rootCertificate: authority.trustBundle(),
      }),
    async [Symbol.asyncDispose]() {
      grpc.kill();
      await join.shutdown();
      await directory[Symbol.asyncDispose]();
    },
  };
}

Deno.test("joining gives every identity a certificate, kept in files for their owner alone", async () => {
  await using mesh = await openMesh(3_600_000);
  const identities = new Identities(mesh.agentDir);
  await identities.ensure([reviews, "prod/ratings", reviews], await mesh.token(reviews, "prod/ratings"));
  assert.deepEqual(identities.certificates().map((one) => one.spiffeId), [
    "spiffe://cluster.local/ns/default/sa/reviews",
    "spiffe://cluster.local/ns/prod/sa/ratings",
  ]);
  assert.equal(identities.of(reviews).trustBundle, mesh.authority.trustBundle());
  // The root goes without saying: peers have it.
  assert.equal(identities.of(reviews).certificateChain.match(/BEGIN CERTIFICATE/g)?.length, 1);
  const file = `${mesh.agentDir}/identities/prod/ratings.pem`;
  assert.equal(Deno.statSync(file).mode! & 0o777, 0o600);
  identities.stop();

  const again = new Identities(mesh.agentDir);
  await again.ensure([reviews, "prod/ratings"], undefined);
  assert.deepEqual(again.of(reviews), identities.of(reviews));
  assert.equal(mesh.asked.length, 1);
  again.stop();
});

Deno.test("without certificate and token the error says which identity and how to get a token", async () => {
  await using directory = await temporaryDirectory();
  await assert.rejects(
    new Identities(directory.path).ensure([reviews], undefined),
    (error) =>
      error instanceof AgentStartError && /default\/reviews/.test(error.message) && /token create/.test(error.hint),
  );
});

Deno.test("a refused join is told with the control plane's reason, and not tried again", async () => {
  await using mesh = await openMesh(3_600_000);
  mesh.refuseWith("the token does not allow default/reviews");
  await assert.rejects(
    new Identities(mesh.agentDir).ensure([reviews], await mesh.token("prod/ratings")),
    (error) => error instanceof AgentStartError && /does not allow/.test(error.message) && error.hint === "ask again",
  );
  assert.equal(mesh.asked.length, 1);
});

Deno.test("what is not a token is refused without speaking to anybody", async () => {
  await using directory = await temporaryDirectory();
  await assert.rejects(new Identities(directory.path).ensure([reviews], "hello"), AgentStartError);
});

Deno.test("an expired certificate joins again with a token, a damaged file as well", async () => {
  await using mesh = await openMesh(1000);
  const first = new Identities(mesh.agentDir);
  await first.ensure([reviews], await mesh.token(reviews));
  first.stop();
  await delay(Math.max(0, first.certificates()[0].notAfter.getTime() - Date.now()) + 20);
  const second = new Identities(mesh.agentDir);
  await assert.rejects(second.ensure([reviews], undefined), AgentStartError);
  await second.ensure([reviews], await mesh.token(reviews));
  second.stop();
  Deno.writeTextFileSync(`${mesh.agentDir}/identities/${reviews}.pem`, "garbage");
  assert.equal(await new IdentityStore(mesh.agentDir).read(reviews), null);
  assert.equal(mesh.asked.length, 2);
});

Deno.test("a certificate is renewed with a new key while it is valid, after a refusal too", async () => {
  await using mesh = await openMesh(6000);
  const identities = new Identities(mesh.agentDir);
  await identities.ensure([reviews], await mesh.token(reviews));
  const before = identities.of(reviews);
  const { promise, resolve } = Promise.withResolvers<void>();
  identities.onChange(resolve);
  await promise;
  const after = identities.of(reviews);
  assert.notEqual(after.privateKey, before.privateKey);
  assert.equal(after.trustBundle, before.trustBundle);
  assert.equal((await new IdentityStore(mesh.agentDir).read(reviews))?.privateKey, after.privateKey);
  assert.ok(mesh.signed() >= 2);
  identities.stop();
});

Deno.test("renewal falls at half the time left, a tenth of it earlier or later", () => {
  assert.equal(renewalTime(1000, 2000, 0.5), 1500);
  assert.equal(renewalTime(1000, 2000, 0), 1400);
  assert.equal(renewalTime(1000, 2000, 1), 1600);
});
