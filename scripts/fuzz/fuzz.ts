/**
 * `deno task fuzz [MINUTES]`: the tests that feed parsers with mutated and split input (HTTP/1.1, HPACK, HTTP/2 frames,
 * ClientHello, PROXY protocol, YAML, certificates), again and again with other seeds, for ten minutes or as many as
 * are named. Ends with the first failure, and says with which seed it comes back.
 */
import { dirname } from "node:path";
import { fileURLToPath } from "node:url";

const root = dirname(dirname(dirname(fileURLToPath(import.meta.url))));

const targets = [
  "agent/accept/client_hello_test.ts",
  "agent/accept/proxy_protocol_test.ts",
  "agent/decode/framing_test.ts",
  "agent/decode/http1/parse_head_test.ts",
  "agent/identify/certificate_names_test.ts",
  "http2/huffman_code_test.ts",
  "routing/istio/hostile_test.ts",
  "tests/conformance/hpack/hostile_blocks_test.ts",
  "tests/conformance/hpack/reference_test.ts",
  "tests/conformance/hpack/round_trip_test.ts",
  "tests/conformance/http2/mutated_frames_test.ts",
];

const minutes = Number(Deno.args[0] ?? 10);
if (!(minutes > 0)) {
  console.error(`fuzz: ${JSON.stringify(Deno.args[0])} is not a number of minutes`);
  Deno.exit(2);
}
const end = Date.now() + minutes * 60_000;
let rounds = 0;
while (Date.now() < end) {
  const seed = crypto.getRandomValues(new Uint32Array(1))[0] >>> 1;
  const { success, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["test", "-A", "--no-check", "--preload=scripts/fuzz/seed.ts", ...targets],
    cwd: root,
    env: { SKIFF_FUZZ_SEED: String(seed), NO_COLOR: "1" },
  }).output();
  if (!success) {
    await Deno.stdout.write(stdout);
    await Deno.stderr.write(stderr);
    console.error(
      `fuzz: failed with seed ${seed}: SKIFF_FUZZ_SEED=${seed} deno test -A --preload=scripts/fuzz/seed.ts FILE`,
    );
    Deno.exit(1);
  }
  console.log(`round ${++rounds} with seed ${seed}: nothing found`);
}
