import assert from "node:assert/strict";
import { setTimeout as delay } from "node:timers/promises";
import { temporaryDirectory } from "../../ca/testing/directory.ts";
import { AgentStartError } from "./agent_start_error.ts";
import { Identities } from "./identities.ts";
import { IdentityStore } from "./identity_store.ts";
import { renewalRetry, renewalTime, renewalTimeout } from "./renewal.ts";
import { openTestMesh } from "./testdata/test_mesh.ts";

const reviews = "default/reviews";

Deno.test("joining gives every identity a certificate, kept in files for their owner alone", async () => {
  await using mesh = await openTestMesh({ ttl: 3_600_000 });
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
  assert.equal(mesh.joins.length, 1);
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
  await using mesh = await openTestMesh({ ttl: 3_600_000 });
  mesh.refuseWith("the token does not allow default/reviews");
  await assert.rejects(
    new Identities(mesh.agentDir).ensure([reviews], await mesh.token("prod/ratings")),
    (error) => error instanceof AgentStartError && /does not allow/.test(error.message) && error.hint === "ask again",
  );
  assert.equal(mesh.joins.length, 1);
});

Deno.test("what is not a token is refused without speaking to anybody", async () => {
  await using directory = await temporaryDirectory();
  await assert.rejects(new Identities(directory.path).ensure([reviews], "hello"), AgentStartError);
});

Deno.test("an expired certificate joins again with a token, a damaged file as well", async () => {
  await using mesh = await openTestMesh({ ttl: 1000 });
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
  assert.equal(mesh.joins.length, 2);
});

Deno.test("a certificate is renewed with a new key while it is valid, after a refusal too", async () => {
  await using mesh = await openTestMesh({ ttl: 6000, refuseFirstRenewal: true });
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
  assert.ok(mesh.renewals() >= 2);
  identities.stop();
});

Deno.test("renewal falls at half the time left, a tenth of it earlier or later", () => {
  assert.equal(renewalTime(1000, 2000, 0.5), 1500);
  assert.equal(renewalTime(1000, 2000, 0), 1400);
  assert.equal(renewalTime(1000, 2000, 1), 1600);
});

Deno.test("calls and pauses shrink with what is left, so that several tries fit into it", () => {
  assert.equal(renewalTimeout(12 * 3_600_000), 20_000);
  assert.equal(renewalTimeout(8_000), 2_000);
  assert.equal(renewalTimeout(100), 500);
  assert.equal(renewalRetry(60_000, 12_000), 2_000);
  assert.equal(renewalRetry(1_000, 12 * 3_600_000), 1_000);
  assert.equal(renewalRetry(1_000, 10), 200);
});

Deno.test("certificates that end while the control plane is away are had again with one use of the token", async () => {
  await using mesh = await openTestMesh({ ttl: 2000 });
  const identities = new Identities(mesh.agentDir);
  mesh.killControlPlane();
  await identities.ensure([reviews, "prod/ratings"], await mesh.tokenForJoins(2, reviews, "prod/ratings"));
  const before = identities.of(reviews);
  const { promise, resolve } = Promise.withResolvers<void>();
  identities.onChange(resolve);
  await promise;
  assert.notEqual(identities.of(reviews).privateKey, before.privateKey);
  assert.ok(identities.certificates().every(({ notAfter }) => notAfter.getTime() > Date.now() - 1000));
  assert.equal(mesh.joins.length, 2);
  identities.stop();
});
