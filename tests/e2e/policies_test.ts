import assert from "node:assert/strict";
import { BookinfoMesh } from "../../scripts/demo/bookinfo_mesh.ts";
import { until } from "../../scripts/demo/harness/until.ts";
import { spiffeId } from "../../scripts/demo/topology.ts";

const ratings = "http://ratings:9080/ratings/0";

const policy = (spec: string) => `
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: { name: ratings, namespace: default }
spec: ${spec}
`;
const allow = (account: string) =>
  policy(`{ rules: [ { from: [ { source: { principals: [ cluster.local/ns/default/sa/${account} ] } } ] } ] }`);
const peers = (mode: string) => `
apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: { name: default, namespace: istio-system }
spec: { mtls: { mode: ${mode} } }
`;

/** Reloads, validation and pushes take their time; what is asked for must come to hold within it, milliseconds. */
const timeout = 5_000;

Deno.test("policies in the watched directory are enforced between two agents", async (t) => {
  await using bookinfo = await BookinfoMesh.start({ placement: [[["productpage", "v1"]], [["ratings", "v1"]]] });
  const caller = bookinfo.caller("productpage");
  const { address } = bookinfo.machine("vm-2");
  const comesToAnswer = (what: string, status: number) =>
    until(what, async () => (await caller.get(ratings)).status === status, { timeout });

  /** Whether a caller outside the mesh is answered at the workload's own port. */
  async function servesOutsiders(): Promise<boolean> {
    using outsider = bookinfo.outsider();
    return (await outsider.get(`http://${address}:9080/ratings/0`).catch(() => null))?.status === 200;
  }

  await t.step("without policies everybody is served", async () => {
    assert.equal((await caller.get(ratings)).status, 200);
    assert.equal(await servesOutsiders(), true);
  });

  await t.step("a policy that allows others denies this caller, and those without an identity", async () => {
    bookinfo.mesh.apply(allow("bookinfo-reviews"));
    await comesToAnswer("the caller is denied", 403);
    assert.equal((await caller.get(ratings)).body, "RBAC: access denied");
    assert.equal(await servesOutsiders(), false);
  });

  await t.step("a changed policy allows the caller", async () => {
    bookinfo.mesh.apply(allow("bookinfo-productpage"));
    await comesToAnswer("the caller is allowed", 200);
    assert.equal(await servesOutsiders(), false);
  });

  await t.step("an AUDIT policy denies, and the agent's log says why", async () => {
    bookinfo.mesh.apply(policy("{ action: AUDIT, rules: [ {} ] }"));
    await comesToAnswer("the caller is denied", 403);
    const line = await bookinfo.mesh.agents.get("vm-2")!.line(/warn .*does not enforce/);
    assert.match(line, /ns\[default\]-policy\[ratings\]-rule\[0\]-unenforced\[AUDIT\]/);
    bookinfo.mesh.apply(policy("{ rules: [ {} ] }"));
    await comesToAnswer("the caller is allowed", 200);
  });

  await t.step("STRICT takes no plaintext; the mesh goes on", async () => {
    bookinfo.mesh.apply(peers("STRICT"));
    await until("outsiders are refused", async () => !await servesOutsiders(), { timeout });
    assert.equal((await caller.get(ratings)).status, 200);
  });

  await t.step("DISABLE: callers come in plaintext, without an identity", async () => {
    bookinfo.mesh.apply(peers("DISABLE"));
    await until("outsiders are served", servesOutsiders, { timeout });
    await until("the caller comes without an identity", async () => {
      const { status, body } = await caller.get("http://ratings:9080/headers");
      return status === 200 && JSON.parse(body).headers["x-forwarded-client-cert"] === undefined;
    }, { timeout });
  });

  await t.step("PERMISSIVE: the mesh has its identities again, and outsiders are served", async () => {
    bookinfo.mesh.apply(peers("PERMISSIVE"));
    await until("the caller has its identity", async () => {
      const { status, body } = await caller.get("http://ratings:9080/headers");
      return status === 200 &&
        `${JSON.parse(body).headers["x-forwarded-client-cert"]}`.includes(spiffeId("bookinfo-productpage"));
    }, { timeout });
    assert.equal(await servesOutsiders(), true);
  });
});
