/** Which part of the program may import which: imports run one way. */
import { dirname, join, relative } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import type { Violation } from "./source_files.ts";

/** One import statement, both ends relative to the root of the repository. */
export interface Import {
  from: string;
  to: string;
}

/**
 * main → cli → {controlplane, agent} → {ca, routing}; `log` may be imported by all but routing. The two halves never
 * import each other: all they share is the wire (xDS), what describes it in `routing/`, identities in `ca/`, and the
 * numbers and tables of HTTP/2.
 */
const allowed: Record<string, string[]> = {
  main: ["cli", "controlplane", "agent", "ca", "routing", "log"],
  cli: ["controlplane", "agent", "ca", "routing", "log"],
  controlplane: ["ca", "routing", "log", "http2"],
  agent: ["ca", "routing", "log", "http2"],
  ca: ["log"],
  routing: [],
  log: [],
  http2: [],
};

/** The part of the program that a file belongs to, or `null` for tests, scripts and the like, which may import all. */
function areaOf(path: string): string | null {
  const area = path === "main.ts" ? "main" : path.split("/")[0];
  return area in allowed ? area : null;
}

/** Imports that run against the direction. */
export function againstDirection(imports: Import[]): Violation[] {
  return imports.flatMap(({ from, to }) => {
    const area = areaOf(from);
    const target = areaOf(to) ?? to.split("/")[0];
    if (to === "deno.json" && area !== "routing") return []; // the version stands there
    if (area === null || area === target || allowed[area].includes(target)) return [];
    const may = allowed[area].length === 0 ? "nothing else of ours" : allowed[area].join(", ");
    return [{
      place: from,
      rule: `${area} imports ${target}`,
      reason: `${to}: ${area} may import ${may}; move what both need to where both may reach it`,
    }];
  });
}

/** What `deno info --json` says of a graph, as far as it is read here. */
interface ModuleGraph {
  modules: { specifier: string; error?: string; dependencies?: Dependency[] }[];
}
interface Dependency {
  code?: { specifier?: string };
  type?: { specifier?: string };
}

/** Every import among the given files (paths relative to `root`), type imports included. Throws when the graph cannot be read. */
export async function importsOf(root: string, paths: string[]): Promise<Import[]> {
  const entry = await Deno.makeTempFile({ prefix: "skiff-graph-", suffix: ".ts" });
  try {
    const lines = paths.map((path) => `import ${JSON.stringify(pathToFileURL(join(root, path)).href)};\n`);
    await Deno.writeTextFile(entry, lines.join(""));
    const { success, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
      args: ["info", "--json", "--config", join(root, "deno.json"), entry],
      cwd: root,
    }).output();
    if (!success) throw new Error(`deno info failed: ${new TextDecoder().decode(stderr)}`);
    const graph: ModuleGraph = JSON.parse(new TextDecoder().decode(stdout));
    return graph.modules.flatMap((module) => {
      const from = insideOf(root, module.specifier);
      if (from === null) return [];
      if (module.error !== undefined) throw new Error(`${from}: ${module.error}`);
      const targets = (module.dependencies ?? []).flatMap(({ code, type }) => [code?.specifier, type?.specifier]);
      return [...new Set(targets)].flatMap((target) => {
        const to = target === undefined ? null : insideOf(root, target);
        return to === null ? [] : [{ from, to }];
      });
    });
  } finally {
    await Deno.remove(entry);
  }
}

/** The path of a module relative to the root, or `null` where it is not one of ours. */
function insideOf(root: string, specifier: string): string | null {
  if (!specifier.startsWith("file:")) return null;
  const path = relative(root, fileURLToPath(specifier));
  return path.startsWith("..") || dirname(path).startsWith("node_modules") ? null : path;
}
