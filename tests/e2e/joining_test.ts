import assert from "node:assert/strict";
import { agentFile } from "../../scripts/demo/harness/agent_file.ts";
import { Authority } from "../../ca/authority/authority.ts";
import { claimLoopbackBlock } from "../../scripts/demo/harness/loopback.ts";
import { Mesh } from "../../scripts/demo/harness/mesh.ts";
import { runSkiff, startSkiff } from "../../scripts/demo/harness/skiff.ts";
import { bookinfoMachines } from "../../scripts/demo/topology.ts";

Deno.test("an agent joins only with a token that is there, in time, for its identity and not used up", async (t) => {
  using block = claimLoopbackBlock(1);
  await using mesh = new Mesh({ block });
  await mesh.startControlPlane();
  // Without the gateway of the first machine: one identity is enough here.
  const { gateway: _, ...machine } = bookinfoMachines(block, [[["details", "v1"]]])[0];

  /** Starts the agent, which must end by itself with exit code 2. */
  async function refused(token: string | null, message: RegExp): Promise<void> {
    const agent = mesh.launchAgent(machine, token);
    assert.equal(await agent.ended, 2, agent.tail());
    assert.match(agent.output(), message);
  }

  await t.step("without a token", () => refused(null, /no token to join with.*skiff token create/));
  await t.step("with something that is no token", () => refused("abc", /not a join token/));
  await t.step("with a token for another identity", async () => {
    await refused(await mesh.token(["default/bookinfo-ratings"]), /not for default\/bookinfo-details/);
  });
  await t.step("with an expired token", async () => {
    const token = await mesh.token(["default/bookinfo-details"], ["--ttl=1s"]);
    await new Promise((done) => setTimeout(done, 2_100));
    await refused(token, /expired/);
  });
  const token = await mesh.token(["default/bookinfo-details"]);
  await t.step("with a good one it is ready", async () => {
    await mesh.agentReady(machine, mesh.launchAgent(machine, token));
  });
  await t.step("SIGTERM ends it with 0", async () => {
    assert.equal(await mesh.agents.get("vm-1")!.stop(), 0);
  });
  await t.step("the same token admits no second machine", async () => {
    const stranger = { ...machine, name: "vm-2" };
    const agent = mesh.launchAgent(stranger, token);
    assert.equal(await agent.ended, 2, agent.tail());
    assert.match(agent.output(), /has had its one use/);
  });
  await t.step("it comes back without a token", async () => {
    await mesh.agentReady(machine, mesh.launchAgent(machine, null));
  });
});

Deno.test("token create checks what it is asked for", async () => {
  using block = claimLoopbackBlock(0);
  await using mesh = new Mesh({ block });
  await mesh.startControlPlane();
  const dataDir = `--data-dir=${mesh.controlPlaneDir}`;
  const create = (...flags: string[]) => runSkiff(["token", "create", ...flags]);

  const good = await create("--service-account=default/a", "--service-account=prod/b", dataDir);
  assert.equal(good.code, 0, good.stderr);
  assert.match(good.stdout, /^[\w-]+\.[\w-]+\.[\w-]+\n$/);

  const none = await create(dataDir);
  assert.match(none.stderr, /needs at least one --service-account/);
  const malformed = await create("--service-account=details", dataDir);
  assert.match(malformed.stderr, /--service-account: .*NAMESPACE/i);
  const longing = await create("--service-account=default/a", "--ttl=forever", dataDir);
  assert.match(longing.stderr, /--ttl: .*duration/);
  const both = await create("--service-account=default/a", dataDir, "--server=http://127.0.0.1:1");
  assert.match(both.stderr, /--data-dir and --server/);
  const nowhere = await create("--service-account=default/a", `--data-dir=${mesh.directory}/none`);
  assert.match(nowhere.stderr, /no control plane/);
  for (const { code, stdout } of [none, malformed, longing, both, nowhere]) assert.deepEqual([code, stdout], [2, ""]);
});

Deno.test("a control plane whose address is in use says so in one line and exits with 2", async () => {
  using block = claimLoopbackBlock(0);
  await using mesh = new Mesh({ block });
  using _taken = Deno.listen({ hostname: block.controlPlane, port: 15_012 });
  await assert.rejects(mesh.startControlPlane(), /ended \(2\)[^]*15012/);
});

Deno.test("an agent joins nobody whose certificate this machine's own roots have signed, but not the mesh's", async () => {
  using block = claimLoopbackBlock(1);
  await using mesh = new Mesh({ block });
  await mesh.startControlPlane();
  // Without the gateway of the first machine: one identity is enough here.
  const { gateway: _, ...machine } = bookinfoMachines(block, [[["details", "v1"]]])[0];
  const token = await mesh.token(["default/bookinfo-details"]);
  await mesh.controlPlane!.stop();

  const impostor = await Authority.open({ dataDir: `${mesh.directory}/impostor`, trustDomain: "cluster.local" });
  const { chain, privateKey } = await impostor.issueServerCertificate([block.controlPlane], 3_600_000);
  const roots = `${mesh.directory}/roots.pem`;
  await Deno.writeTextFile(roots, impostor.trustBundle());
  let asked = 0;
  await using _server = Deno.serve(
    { hostname: block.controlPlane, port: 15_011, cert: chain.join(""), key: privateKey, onListen: () => {} },
    () => {
      asked++;
      return new Response(null, { status: 503 });
    },
  );
  // Deno's search for newer versions, which compiled programs do not make, would read the roots before the agent does.
  const environment = { DENO_TLS_CA_STORE: "system", SSL_CERT_FILE: roots, DENO_NO_UPDATE_CHECK: "1" };
  const file = `${mesh.directory}/vm-1.yaml`;
  await Deno.writeTextFile(file, agentFile(machine, `${block.controlPlane}:15012`));
  const flags = ["--role=agent", `--config=${file}`, `--data-dir=${mesh.directory}/vm-1`, `--token=${token}`];
  const agent = mesh.adopt(startSkiff("vm-1", flags, environment));
  await agent.line(/cannot join yet .*invalid peer certificate/);
  assert.equal(asked, 0);
  // The machine's roots would have let it in.
  const visit = `console.log((await fetch("https://${block.controlPlane}:15011/")).status)`;
  const visitor = new Deno.Command(Deno.execPath(), { args: ["eval", visit], env: environment });
  assert.equal(new TextDecoder().decode((await visitor.output()).stdout), "503\n");
});
