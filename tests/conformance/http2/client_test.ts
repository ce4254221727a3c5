import assert from "node:assert/strict";
import {
  cluster,
  endpoint,
  endpoints,
  forwardTo,
  freePort,
  listener,
  route,
  TestProxy,
} from "../../data_plane/harness.ts";
import { install } from "./h2spec.ts";

const cases = 57;

const program = await install("h2specd");
if ("missing" in program) console.log(`h2specd is not run: ${program.missing}`);

/** The first of as many neighbouring ports as there are cases, below those that the system gives out. */
function firstPort(): number {
  for (;;) {
    const first = 20_000 + Math.floor(Math.random() * 10_000);
    try {
      for (let i = 0; i < cases + 3; i++) Deno.listen({ hostname: "127.0.0.1", port: first + i }).close();
      return first;
    } catch (error) {
      if (!(error instanceof Deno.errors.AddrInUse)) throw error;
    }
  }
}

Deno.test({
  name: "h2specd finds nothing wrong with how upstream hosts are spoken to",
  ignore: "missing" in program,
  fn: async () => {
    const from = firstPort();
    const ports = Array.from({ length: cases + 3 }, (_, i) => from + i);
    const port = freePort();
    await using _ = await TestProxy.start({
      clusters: ports.map((to) => cluster({ name: `to-${to}`, http2: { maxConcurrentStreams: 100 } })),
      endpoints: ports.map((to) => endpoints(`to-${to}`, [endpoint(to)])),
      // Each case is a server of its own, which the client is to call: the proxy tells them apart by the host.
      routes: [{
        name: "routes",
        virtualHosts: ports.map((to) => ({
          name: `to-${to}`,
          domains: [`127.0.0.1:${to}`],
          routes: [route({ action: forwardTo(`to-${to}`) })],
        })),
      }],
      listeners: [listener(port)],
    });
    const folder = await Deno.makeTempDir();
    const client = `${folder}/client`;
    // A case that has answered one request by breaking off wants to see another.
    const curl = `curl --silent --max-time 1 --data hello --connect-to ::127.0.0.1:${port} "$@"`;
    await Deno.writeTextFile(client, `#!/bin/sh\nfor request in 1 2 3; do ${curl}; done\n`, { mode: 0o755 });
    assert.ok("path" in program);
    // It knows the option for a report and writes none: what it prints tells.
    const h2specd = new Deno.Command(program.path, { args: ["--strict", "-f", String(from), "-e", client] });
    const { stdout, stderr } = await h2specd.output();
    const report = new TextDecoder().decode(stdout) + new TextDecoder().decode(stderr);
    await Deno.remove(folder, { recursive: true });
    assert.match(report, new RegExp(`\\n${cases} tests, ${cases} passed, 0 skipped, 0 failed`));
  },
});
