/**
 * `deno task compile [FILE]`: one executable, `dist/skiff` by default.
 *
 * `deno compile` puts the program beside denort, the runtime without tools, which it fetches from the network unless
 * `DENORT_BIN` names one. Where there is none to be had, the executable is a script that carries Deno and the bundled
 * program, and unpacks them on its first start: slower that once, the same afterwards. The last line says which it is.
 */
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { v8Flags } from "./v8_flags.ts";

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const output = resolve(Deno.args[0] ?? join(root, "dist/skiff"));
/** What a data thread runs: a worker, so no import leads to it. */
const worker = "agent/worker/data_thread.ts";

await Deno.mkdir(dirname(output), { recursive: true });
const compiled = await deno([
  ...["compile", "-A", v8Flags, "--no-check", "--exclude-unused-npm", "--include", worker],
  ...["--output", output, "main.ts"],
]);
if (compiled.success) {
  console.log(`${output}: made by deno compile`);
  Deno.exit(0);
}
if (!/denort|dl\.deno\.land|download/i.test(compiled.said)) fail("deno compile", compiled.said);
console.log("deno compile found no denort (DENORT_BIN may name one); making a self-extracting file instead");
await makeSelfExtracting();
console.log(`${output}: made as a self-extracting file`);

/** Deno and two bundles, packed behind a shell script that unpacks them once per content and user. */
async function makeSelfExtracting(): Promise<void> {
  const folder = await Deno.makeTempDir({ prefix: "skiff-compile-" });
  try {
    // The places matter: the supervisor finds the worker at ../worker/ from itself, in the bundle as in the source.
    // Its name is JavaScript's here: what is named TypeScript is translated again, which takes 12 MiB of an agent.
    const supervisor = join(folder, "agent/supervisor/skiff.js");
    await bundle("main.ts", supervisor);
    await bundle(worker, join(folder, script(worker)));
    const [from, to] = [worker, script(worker)].map((path) => path.replace("agent/", "../"));
    const source = await Deno.readTextFile(supervisor);
    if (!source.includes(from)) fail("bundling", `nothing in main.ts's bundle starts ${from}`);
    await Deno.writeTextFile(supervisor, source.replace(from, to));
    await Deno.copyFile(Deno.execPath(), join(folder, "deno"));
    await Deno.chmod(join(folder, "deno"), 0o755);
    const archive = join(folder, "..", `${folder.split("/").pop()}.tar.gz`);
    const { success, said } = await run("tar", ["-czf", archive, "-C", folder, "agent", "deno"]);
    if (!success) fail("tar", said);
    const packed = await Deno.readFile(archive);
    await Deno.remove(archive);
    const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", packed)).toHex().slice(0, 16);
    await Deno.writeFile(output, new TextEncoder().encode(header(digest)));
    await Deno.writeFile(output, packed, { append: true });
    await Deno.chmod(output, 0o755);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

function header(digest: string): string {
  const lines = [
    "#!/bin/sh",
    "# skiff: Deno and the bundled program, unpacked below the user's cache directory on the first start.",
    "set -eu",
    'if [ -n "${XDG_CACHE_HOME:-}" ]; then cache=$XDG_CACHE_HOME',
    'elif [ "$(id -u)" -eq 0 ]; then cache=/var/cache',
    "else cache=${HOME:?skiff unpacks itself below HOME or XDG_CACHE_HOME; set one}/.cache; fi",
    `home=$cache/skiff/${digest}`,
    'if [ ! -x "$home/deno" ]; then',
    '  mkdir -p -m 700 "$cache/skiff"',
    '  new=$(mktemp -d "$cache/skiff/new.XXXXXX")',
    '  tail -n +LINES "$0" | tar -xz --no-same-owner -C "$new"',
    '  mv -T "$new" "$home" 2>/dev/null || rm -rf "$new"',
    "fi",
    `exec "$home/deno" run -A ${v8Flags} --no-config --no-remote --no-npm --quiet "$home/agent/supervisor/skiff.js" "$@"`,
  ];
  return lines.join("\n").replace("LINES", String(lines.length + 1)) + "\n";
}

function script(path: string): string {
  return path.replace(/\.ts$/, ".js");
}

async function bundle(entry: string, file: string): Promise<void> {
  await Deno.mkdir(dirname(file), { recursive: true });
  const { success, said } = await deno(["bundle", "--platform", "deno", "--output", file, entry]);
  if (!success) fail(`deno bundle ${entry}`, said);
  await Deno.writeTextFile(file, ascii(await Deno.readTextFile(file)));
}

/** One character beyond Latin-1 and V8 keeps the whole source at two bytes a character, in each thread that runs it. */
function ascii(source: string): string {
  return source.replace(/[\u0080-\uffff]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`);
}

function deno(args: string[]): Promise<{ success: boolean; said: string }> {
  return run(Deno.execPath(), args);
}

async function run(program: string, args: string[]): Promise<{ success: boolean; said: string }> {
  const { success, stderr } = await new Deno.Command(program, { args, cwd: root, env: { NO_COLOR: "1" } }).output();
  return { success, said: new TextDecoder().decode(stderr).trim() };
}

function fail(what: string, said: string): never {
  console.error(`${what} failed:\n${said}`);
  Deno.exit(1);
}
