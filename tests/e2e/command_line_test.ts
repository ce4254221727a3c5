import assert from "node:assert/strict";
import { join } from "node:path";
import { type Finished, runSkiff } from "../../scripts/demo/harness/skiff.ts";

/** What a user sees who typed something wrong: one line on stderr, nothing on stdout, exit code 2. */
function assertRefused(finished: Finished, message: RegExp): void {
  assert.match(finished.stderr, message);
  assert.equal(finished.stderr.trim().split("\n").length, 1, finished.stderr);
  assert.equal(finished.stdout, "");
  assert.equal(finished.code, 2);
}

async function inTemporaryDirectory(test: (directory: string) => Promise<void>): Promise<void> {
  const directory = await Deno.makeTempDir({ prefix: "skiff-e2e-" });
  try {
    await test(directory);
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
}

Deno.test("skiff version names skiff and its runtime", async () => {
  const { code, stdout } = await runSkiff(["version"]);
  assert.equal(code, 0);
  assert.match(stdout, /^skiff \d+\.\d+\.\d+ \(deno 2\.\d+\.\d+, linux \w+\)\n$/);
});

Deno.test("help lists every role and command, and tells of one in particular", async () => {
  const overview = await runSkiff(["--help"]);
  assert.equal(overview.code, 0);
  for (
    const name of ["--role=controlplane", "--role=agent", "--role=all", "token create", "validate", "proxy-status"]
  ) {
    assert.ok(overview.stdout.includes(`skiff ${name}`), name);
  }
  const agent = await runSkiff(["--role=agent", "--help"]);
  assert.match(agent.stdout, /--token-file FILE .*\[SKIFF_TOKEN_FILE\]/);
  const token = await runSkiff(["help", "token", "create"]);
  assert.match(token.stdout, /^Usage: skiff token create/);
  assert.deepEqual([agent.code, token.code], [0, 0]);
});

Deno.test("a mistyped flag or command is refused with the nearest right one", async () => {
  assertRefused(
    await runSkiff(["--role=agent", "--tokn=x"]),
    /^skiff: unknown flag --tokn for --role=agent \(did you mean --token\?\)\n$/,
  );
  assertRefused(await runSkiff(["valdate", "-f", "x"]), /unknown command "valdate" \(did you mean validate\?\)/);
  assertRefused(await runSkiff(["--role=agnt"]), /"agnt" is none of controlplane, agent, all \(did you mean agent\?\)/);
  assertRefused(await runSkiff(["--role=controlplane", "--token=x"]), /unknown flag --token for --role=controlplane/);
});

Deno.test("bad addresses, durations and files are refused before anything starts", async () => {
  const controlPlane = ["--role=controlplane"];
  assertRefused(await runSkiff([...controlPlane, "--xds-listen=15012"]), /--xds-listen: "15012" is not IP:PORT/);
  assertRefused(
    await runSkiff(controlPlane, { SKIFF_JOIN_LISTEN: "1.2.3.4:99999" }),
    /SKIFF_JOIN_LISTEN: .* ports are/,
  );
  assertRefused(await runSkiff([...controlPlane, "--config-dir=/nowhere"]), /--config-dir: \/nowhere: no such file/);
  assertRefused(await runSkiff([...controlPlane, "--workload-cert-ttl=1d"]), /--workload-cert-ttl: .*duration/);
  assertRefused(await runSkiff([...controlPlane, "--log-level=loud"]), /--log-level: "loud" is none of debug, info/);
  assertRefused(await runSkiff(["--role=agent"]), /--role=agent needs --config FILE/);
  assertRefused(await runSkiff(["--role=agent", "--config=/nowhere.yaml"]), /--config: \/nowhere.yaml: no such file/);
});

Deno.test("commands of later versions say so", async () => {
  assertRefused(await runSkiff(["describe", "reviews"]), /^skiff: describe is not in this version\n$/);
  assertRefused(await runSkiff(["describe", "reviews"]), /^skiff: describe is not in this version\n$/);
  assertRefused(await runSkiff(["proxy-config", "routes"]), /^skiff: proxy-config routes needs AGENT: /);
  assertRefused(await runSkiff(["proxy-config", "routes", "vm-1", "x"]), /^skiff: unexpected argument "x" /);
});

Deno.test("an agent file that is not one is refused with its place", () =>
  inTemporaryDirectory(async (directory) => {
    const file = join(directory, "agent.yaml");
    await Deno.writeTextFile(file, "apiVersion: skiff.dev/v1\nkind: Agent\nspec:\n  workloads: 5\n");
    const args = ["--role=agent", `--config=${file}`, `--data-dir=${directory}/data`];
    assertRefused(await runSkiff(args), /agent\.yaml/);
    await Deno.writeTextFile(file, "kind: [\n");
    assertRefused(await runSkiff(args), /agent\.yaml/);
  }));

Deno.test("a mesh file that is not one is refused with its place", () =>
  inTemporaryDirectory(async (directory) => {
    const file = join(directory, "mesh.yaml");
    await Deno.writeTextFile(file, "trustDomain: [\n");
    assertRefused(
      await runSkiff(["--role=controlplane", `--config=${file}`, `--data-dir=${directory}/data`]),
      /mesh\.yaml/,
    );
  }));

Deno.test("validate finds the mistake's line and column, offline", () =>
  inTemporaryDirectory(async (directory) => {
    const file = join(directory, "rule.yaml");
    const rule = (weight: string) =>
      `apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata:\n  name: reviews\nspec:\n  hosts: [reviews]\n` +
      `  http:\n    - route:\n        - destination: { host: reviews }\n          weight: ${weight}\n`;
    await Deno.writeTextFile(file, rule("100"));
    assert.equal((await runSkiff(["validate", "-f", file])).code, 0);
    await Deno.writeTextFile(file, rule("heavy"));
    const invalid = await runSkiff(["validate", "-f", file]);
    assert.equal(invalid.code, 1);
    assert.match(
      invalid.stdout + invalid.stderr,
      /rule\.yaml:10:\d+: error: VirtualService\/default\/reviews: .*weight/,
    );
    assert.equal((await runSkiff(["validate", "-f", join(directory, "none.yaml")])).code, 2);
  }));
