/**
 * `deno task check`: formatting, lint, types, the direction of imports, bans, floating promises. Prints one line per
 * check, `ok …` or `FAILED …` with what was found, and exits with 1 when anything was.
 */
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { findBanned } from "./checks/bans.ts";
import { againstDirection, importsOf } from "./checks/directions.ts";
import { findFloatingPromises, writeDenoTypes } from "./checks/floating_promises.ts";
import { sourceFiles, type Violation } from "./checks/source_files.ts";

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const files = sourceFiles(root);
const code = files.map(({ path }) => path).filter((path) => path.endsWith(".ts"));
let failed = 0;

/** Runs one check; it returns what it found, nothing being good. */
async function check(name: string, run: () => Promise<string> | string): Promise<void> {
  let findings: string;
  try {
    findings = await run();
  } catch (error) {
    findings = error instanceof Error ? error.message : String(error);
  }
  if (findings === "") {
    console.log(`ok ${name}`);
    return;
  }
  failed++;
  console.log(`FAILED ${name}\n${findings.replace(/^/gm, "  ")}`);
}

async function deno(...args: string[]): Promise<string> {
  const command = new Deno.Command(Deno.execPath(), { args, cwd: root, env: { NO_COLOR: "1" } });
  const { success, stdout, stderr } = await command.output();
  const decoder = new TextDecoder();
  // `Check FILE` lines are progress, not findings.
  return success ? "" : (decoder.decode(stdout) + decoder.decode(stderr)).replaceAll(/^Check .*\n/gm, "").trim();
}

function listed(violations: Violation[]): string {
  return violations.map(({ place, rule, reason }) => `${place}: ${rule}\n  (${reason})`).join("\n");
}

await check("this is the pinned Deno", () => {
  const pinned = Deno.readTextFileSync(join(root, ".deno-version")).trim();
  return Deno.version.deno === pinned ? "" : `this is Deno ${Deno.version.deno}; run npx -y deno@${pinned} task check`;
});
await check("formatting (deno fmt mends it)", () => deno("fmt", "--check"));
await check("lint", () => deno("lint"));
await check("types", () => deno("check", "."));
await check("imports run one way", async () => listed(againstDirection(await importsOf(root, code))));
await check("nothing banned", () => listed(findBanned(files)));
await check("no floating promise", async () => {
  const folder = await Deno.makeTempDir({ prefix: "skiff-types-" });
  try {
    const paths = code.map((path) => join(root, path));
    return listed(findFloatingPromises(root, paths, await writeDenoTypes(folder)));
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
Deno.exit(failed === 0 ? 0 : 1);
