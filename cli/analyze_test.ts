import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { analyzeCommand } from "./analyze.ts";
import { FlagValues } from "./flag_values.ts";
import { parseFlags } from "./flags.ts";
import { TestMesh } from "../controlplane/testing/test_mesh.ts";

const corpus = new URL("../testdata/analyze/", import.meta.url).pathname;

async function analyze(...args: string[]): Promise<{ code: number; out: string[]; err: string[] }> {
  const { log, error } = console;
  const printed = { out: [] as string[], err: [] as string[] };
  try {
    console.log = (line: string) => printed.out.push(line);
    console.error = (line: string) => printed.err.push(line);
    return {
      code: await analyzeCommand.run(new FlagValues(parseFlags(args, analyzeCommand.flags, {}, "analyze"))),
      ...printed,
    };
  } finally {
    [console.log, console.error] = [log, error];
  }
}

for (const name of readdirSync(corpus).sort()) {
  Deno.test(`analyze finds in ${name} what it announces, and nothing else`, async () => {
    const expected = [...readFileSync(corpus + name, "utf8").matchAll(/^# expect: (.*)$/gm)].map(([, found]) => found);
    const { code, out } = await analyze("-f", corpus + name);
    const found = out.filter((line) => !line.includes("[IST0133]")).map((line) => {
      const [, head, field] = line.match(/^(\w+ \[IST\d+\]) \([^)]*\) (?:((?:spec|metadata)\S*): )?/)!;
      return `${head} ${field ?? "-"}`;
    });
    assert.deepEqual(found.sort(), expected.sort());
    assert.equal(code, expected.some((line) => line.startsWith("Error")) ? 1 : 0);
  });
}

Deno.test("analyze names the resource, the file and the line, in the form of istioctl", async () => {
  const { out } = await analyze("-f", `${corpus}destinations.yaml`);
  assert.equal(
    out.find((line) => line.includes("[IST0101]")),
    `Error [IST0101] (VirtualService default/reviews ${corpus}destinations.yaml:41) ` +
      'spec.http[0].route[0].destination.host: Referenced host not found: "nowhere"',
  );
});

Deno.test("analyze knows of a running mesh, and takes files as if they were applied to it", () =>
  TestMesh.with(async (mesh) => {
    const rule = (host: string) =>
      `apiVersion: networking.istio.io/v1\nkind: DestinationRule\nmetadata: { name: rule }\nspec: { host: ${host} }\n`;
    const service =
      `apiVersion: v1\nkind: Service\nmetadata: { name: reviews }\nspec: { ports: [{ name: http, port: 80 }] }\n`;
    await mesh.write("mesh.yaml", `${service}---\n${rule("nowhere")}`);
    const controlPlane = await mesh.start();
    const server = ["--server", `http://127.0.0.1:${controlPlane.httpAddress.port}`];
    const running = await analyze(...server);
    assert.equal(running.code, 1);
    assert.match(
      running.out.join("\n"),
      /^Error \[IST0101\] \(DestinationRule default\/rule [^)]*\) spec\.host: .*"nowhere"$/,
    );
    const file = await Deno.makeTempFile({ suffix: ".yaml" });
    await Deno.writeTextFile(file, rule("reviews"));
    const mended = await analyze("-f", file, ...server);
    await Deno.remove(file);
    assert.deepEqual(mended, { code: 0, out: [], err: ["2 resources, 0 errors, 0 warnings"] });
  }));

Deno.test("analyze says of an invalid file what validate says, under Istio's code", async () => {
  const file = await Deno.makeTempFile({ suffix: ".yaml" });
  await Deno.writeTextFile(
    file,
    "apiVersion: networking.istio.io/v1\nkind: DestinationRule\nmetadata: { name: a }\nspec: { hst: a }\n",
  );
  const { code, out } = await analyze("-f", file);
  await Deno.remove(file);
  assert.equal(code, 1);
  assert.match(
    out.join("\n"),
    /^Error \[IST0106\] \(DestinationRule default\/a .*:4\) Schema validation error: spec\.hst: unknown/m,
  );
});
