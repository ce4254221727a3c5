/**
 * `deno task test`: every test that CI runs, part after part, their output as it comes. The last line is
 * `N passed, N failed`; the exit code is 0 only when nothing failed. A part that runs no test has failed.
 */
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { type Count, countOkLines, countTests, settle } from "./checks/test_output.ts";

const root = dirname(dirname(fileURLToPath(import.meta.url)));

interface Part {
  name: string;
  args: string[];
  count: (output: string) => Count;
}

/** Property tests run with one seed, the same in every run; `deno task fuzz` tries others. */
const seeded = "--preload=scripts/fuzz/seed.ts";

const parts: Part[] = [
  { name: "checks", args: ["run", "-A", "scripts/check.ts"], count: countOkLines },
  // Types have been checked by then. (Named test.ts, this file would be taken for a test itself.)
  {
    name: "unit tests",
    args: ["test", "-A", "--no-check", seeded, "--ignore=tests,scripts/test.ts"],
    count: countTests,
  },
  ...folders("tests").map((folder) => ({
    name: folder,
    args: ["test", "-A", "--no-check", seeded, `${folder}/`],
    count: countTests,
  })),
  { name: "demo", args: ["run", "-A", "scripts/demo/demo.ts", "--check"], count: countOkLines },
];

function folders(parent: string): string[] {
  return [...Deno.readDirSync(join(root, parent))].filter((entry) => entry.isDirectory)
    .map((entry) => `${parent}/${entry.name}`).sort();
}

/** Says what the tests need and the machine lacks. */
function missingPrerequisites(): string[] {
  const missing: string[] = [];
  if (!printed("openssl", ["version"]).startsWith("OpenSSL 3")) {
    missing.push("the openssl program, version 3, with which tests make certificates: apt-get install openssl");
  }
  if (!/libssl\.so\.3 /.test(printed("/sbin/ldconfig", ["-p"]))) {
    missing.push("libssl.so.3 (OpenSSL 3), which the data plane loads: apt-get install libssl3");
  }
  return missing;
}

/** What a program prints; nothing when it is not there. */
function printed(program: string, args: string[]): string {
  try {
    return new TextDecoder().decode(new Deno.Command(program, { args }).outputSync().stdout);
  } catch {
    return "";
  }
}

/** Runs one part, passing its output on, and returns all of it with the exit code. */
async function run(args: string[]): Promise<{ output: string; code: number }> {
  const child = new Deno.Command(Deno.execPath(), {
    args,
    cwd: root,
    stdin: "null",
    stdout: "piped",
    stderr: "inherit",
    env: { NO_COLOR: "1" },
  }).spawn();
  const decoder = new TextDecoder();
  let output = "";
  for await (const chunk of child.stdout) {
    output += decoder.decode(chunk, { stream: true });
    await writeAll(chunk);
  }
  return { output, code: (await child.status).code };
}

async function writeAll(bytes: Uint8Array): Promise<void> {
  for (let written = 0; written < bytes.length;) written += await Deno.stdout.write(bytes.subarray(written));
}

const missing = missingPrerequisites();
if (missing.length > 0) {
  for (const what of missing) console.log(`missing: ${what}`);
  console.log(`0 passed, ${missing.length} failed`);
  Deno.exit(1);
}
const sum: Count = { passed: 0, failed: 0 };
const lines: string[] = [];
for (const { name, args, count } of parts) {
  console.log(`\n== ${name}: deno ${args.join(" ")}`);
  const started = performance.now();
  const { output, code } = await run(args);
  const { passed, failed } = settle(count(output), code);
  sum.passed += passed;
  sum.failed += failed;
  const seconds = ((performance.now() - started) / 1000).toFixed(1);
  lines.push(`${failed === 0 ? "ok" : "FAILED"} ${name}: ${passed} passed, ${failed} failed (${seconds} s)`);
}
console.log(`\n${lines.join("\n")}`);
console.log(`${sum.passed} passed, ${sum.failed} failed`);
Deno.exit(sum.failed === 0 ? 0 : 1);
