import assert from "node:assert/strict";
import { Resolver } from "../../agent/dns/resolver.ts";
import { agentFile } from "../../scripts/demo/harness/agent_file.ts";
import { claimLoopbackBlock } from "../../scripts/demo/harness/loopback.ts";
import { startSkiff } from "../../scripts/demo/harness/skiff.ts";
import { until } from "../../scripts/demo/harness/until.ts";
import { bookinfoMachines } from "../../scripts/demo/topology.ts";
import { bytes, echo, readExactly, TcpServer, text, writeAll } from "../data_plane/tcp_peers.ts";

Deno.test("a service is reached by its name: DNS gives its loopback address, where the agent listens", async () => {
  using block = claimLoopbackBlock(1);
  const [machine] = bookinfoMachines(block, [[["ratings", "v1"]]]);
  const [{ localAddress, port }] = machine.workloads;
  await using _application = Deno.serve(
    { hostname: localAddress, port, onListen: () => {} },
    (request) => new Response(`ratings ${new URL(request.url).pathname}`),
  );
  await using database = new TcpServer(echo);
  const directory = await Deno.makeTempDir({ prefix: "skiff-e2e-" });
  const { controlPlane } = block;
  await Deno.writeTextFile(`${directory}/agent.yaml`, agentFile(machine, `${controlPlane}:15012`));
  await Deno.mkdir(`${directory}/mesh`);
  // `localhost` is a name that this machine resolves by itself.
  await Deno.writeTextFile(
    `${directory}/mesh/db.yaml`,
    `
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: { name: db }
spec:
  hosts: [db.example.com]
  ports: [{ number: 5432, name: tcp-postgres, targetPort: ${database.port} }]
  resolution: DNS
  endpoints: [{ address: localhost }]
`,
  );
  const skiff = startSkiff("skiff", [
    "--role=all",
    `--config=${directory}/agent.yaml`,
    `--config-dir=${directory}/mesh`,
    `--data-dir=${directory}/data`,
    `--xds-listen=${controlPlane}:15012`,
    `--join-listen=${controlPlane}:15011`,
    `--http-listen=${controlPlane}:15014`,
    "--workers=1",
  ]);
  try {
    const names = new Resolver({ servers: [{ address: localAddress, port: 15_053 }] });
    const addressOf = (name: string) =>
      until(`${name} has an address`, async () => (await names.resolve(name, "A")).addresses[0], {
        timeout: 30_000,
        explain: () => skiff.tail(),
      });
    const address = await addressOf("ratings");
    assert.equal(await addressOf("ratings.default.svc.cluster.local"), address);
    const answer = await until("the service answers", async () => {
      using client = Deno.createHttpClient({ proxy: { url: `http://${address}:${port}` } });
      const response = await fetch(`http://ratings:${port}/stars`, { client });
      return response.ok && await response.text();
    }, { explain: () => skiff.tail() });
    assert.equal(answer, "ratings /stars");

    const databaseAddress = await addressOf("db.example.com");
    assert.notEqual(databaseAddress, address);
    const echoed = await until("the database answers", async () => {
      using connection = await Deno.connect({ hostname: databaseAddress, port: 5432 });
      await writeAll(connection, bytes("select 1"));
      return text(await readExactly(connection, 8));
    }, { explain: () => skiff.tail() });
    assert.equal(echoed, "select 1");
    const stats = await (await fetch(`http://${machine.address}:15000/stats`)).text();
    assert.match(stats, /cluster\.outbound\|5432\|\|db\.example\.com\.update_success: [1-9]/);
    assert.equal(await skiff.stop(), 0);
  } finally {
    await skiff.kill();
    await Deno.remove(directory, { recursive: true });
  }
});
