import assert from "node:assert/strict";
import { Authority } from "../../../ca/authority/authority.ts";
import { Backend, filterChain, TestProxy } from "../../data_plane/harness.ts";
import { identity, setSecrets } from "../../data_plane/mesh.ts";
import { install, run } from "./h2spec.ts";

/**
 * The listener speaks HTTP/1.1 and HTTP/2, told apart by the first bytes: what is no preface is a request of HTTP/1.1,
 * malformed, and answered so (400, then the end). RFC 9113 §3.4 asks for a connection error and lets GOAWAY be left out
 * towards a peer that does not speak HTTP/2.
 */
const expectedInPlaintext = ["http2/3.5: Sends invalid connection preface"];

const program = await install("h2spec");
if ("missing" in program) console.log(`h2spec is not run: ${program.missing}`);
const ignore = "missing" in program;
const path = "missing" in program ? "" : program.path;

async function failures(port: number, ...args: string[]): Promise<string[]> {
  const folder = await Deno.makeTempDir();
  try {
    const cases = await run(path, ["--strict", "-h", "127.0.0.1", "-p", String(port), ...args], folder);
    assert.equal(cases.length, 146);
    assert.deepEqual(cases.filter(({ skipped }) => skipped), []);
    return cases.filter(({ failure }) => failure !== null).map(({ name }) => name);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

Deno.test({
  name: "h2spec finds nothing wrong with prior knowledge, but that HTTP/1.1 is spoken on the same port",
  ignore,
  fn: async () => {
    await using backend = new Backend(() => new Response("a body of some bytes"));
    const { proxy, port } = await TestProxy.simple([backend.port]);
    await using _ = proxy;
    assert.deepEqual(await failures(port), expectedInPlaintext);
  },
});

Deno.test({
  name: "h2spec finds nothing wrong over TLS",
  ignore,
  fn: async () => {
    const dataDir = await Deno.makeTempDir();
    const authority = await Authority.open({ dataDir, trustDomain: "cluster.local" });
    await using backend = new Backend(() => new Response("a body of some bytes"));
    const tls = {
      certificate: "default",
      trustBundle: "",
      requireClientCertificate: false,
      alpn: ["h2", "http/1.1"],
      minimumVersion: "1.2" as const,
    };
    const chain = filterChain({ transportProtocol: "tls", tls });
    const { proxy, port } = await TestProxy.simple([backend.port], { listener: { filterChains: [chain] } });
    await using _ = proxy;
    await setSecrets(proxy, "client", await identity(authority, "gateway"), authority.trustBundle());
    assert.deepEqual(await failures(port, "--tls", "--insecure"), []);
    await Deno.remove(dataDir, { recursive: true });
  },
});
