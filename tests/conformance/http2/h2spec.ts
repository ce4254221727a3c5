/** The public conformance suite for HTTP/2 (github.com/summerwind/h2spec), built once into a cache folder. */
const version = "v2.2.1+incompatible";

export interface Case {
  /** `Starting HTTP/2 › HTTP/2 Connection Preface › Sends invalid connection preface` */
  name: string;
  /** What went wrong; `null`: nothing did. */
  failure: string | null;
  skipped: boolean;
}

/** The program's path; where there is no Go, or no way to its modules, the reason in `missing`. */
export async function install(program: "h2spec" | "h2specd"): Promise<{ path: string } | { missing: string }> {
  const cache = Deno.env.get("XDG_CACHE_HOME") ?? `${Deno.env.get("HOME") ?? "/tmp"}/.cache`;
  const folder = `${cache}/skiff-${program}-${version.replace(/\+.*/, "")}`;
  const path = `${folder}/${program}`;
  if (await Deno.stat(path).then(() => true, () => false)) return { path };
  try {
    const { success, stderr } = await new Deno.Command("go", {
      args: ["install", `github.com/summerwind/h2spec/cmd/${program}@${version}`],
      env: { GOBIN: folder, GOFLAGS: "-mod=mod" },
      stdout: "null",
      stderr: "piped",
    }).output();
    if (success) return { path };
    return { missing: `${program} cannot be built: ${new TextDecoder().decode(stderr).trim().split("\n").at(-1)}` };
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) {
      return { missing: `${program} is written in Go, which is not installed` };
    }
    throw error;
  }
}

/** Runs h2spec and reads its report. */
export async function run(path: string, args: string[], folder: string): Promise<Case[]> {
  const report = `${folder}/report.xml`;
  await new Deno.Command(path, { args: [...args, "--junit-report", report], stdout: "null", stderr: "null" }).output();
  return readReport(await Deno.readTextFile(report));
}

/** The cases of a JUnit report. */
export function readReport(xml: string): Case[] {
  const cases: Case[] = [];
  for (const [, attributes, content] of xml.matchAll(/<testcase ([^>]*?)(?:\/>|>([\s\S]*?)<\/testcase>)/g)) {
    const attribute = (name: string) => unescape(new RegExp(`${name}="([^"]*)"`).exec(attributes)?.[1] ?? "");
    const failure = /<(?:failure|error)[^>]*>([\s\S]*?)<\/(?:failure|error)>/.exec(content ?? "")?.[1];
    cases.push({
      name: `${attribute("package")}: ${attribute("classname")}`,
      failure: failure === undefined ? null : unescape(failure.trim()),
      skipped: /<skipped/.test(content ?? ""),
    });
  }
  return cases;
}

function unescape(text: string): string {
  return text.replaceAll(/&#x([0-9A-Fa-f]+);/g, (_, code) => String.fromCodePoint(parseInt(code, 16)))
    .replaceAll(/&#(\d+);/g, (_, code) => String.fromCodePoint(Number(code)))
    .replaceAll("&lt;", "<").replaceAll("&gt;", ">").replaceAll("&quot;", '"').replaceAll("&amp;", "&");
}
