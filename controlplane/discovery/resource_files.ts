/** The files of a configuration directory, each with its last good content. Knows no clock and no watcher. */
import { join, relative } from "node:path";
import { hasErrors, parseResources, type Problem } from "../../routing/istio/parse.ts";
import type { Resource } from "../../routing/istio/types.ts";

/** What a directory says at one moment. */
export interface DirectoryContent {
  resources: Resource[];
  problems: Problem[];
}

interface LoadedFile {
  /** Tells whether the file has to be read again. */
  stamp: string;
  text: string;
  /** Of the last text without an error. */
  resources: Resource[];
  /** Of the current text. */
  problems: Problem[];
}

const extensions = /\.(ya?ml|json)$/;
/** No resource file is nearly as long; what is would keep the control plane from its work. */
const sizeLimit = 16 * 1024 * 1024;

export class ResourceFiles {
  readonly #directory: string;
  readonly #files = new Map<string, LoadedFile>();
  #problem: Problem | null = null;
  #content: DirectoryContent = { resources: [], problems: [] };

  /** @param lastGood resources of an earlier run, for files that cannot be used now */
  constructor(directory: string, lastGood: Resource[] = []) {
    this.#directory = directory;
    for (const [file, resources] of Map.groupBy(lastGood, (resource) => resource.origin.file)) {
      const path = relative(directory, file);
      if (!path.startsWith("..")) this.#files.set(path, { stamp: "", text: "", resources, problems: [] });
    }
    if (lastGood.length > 0) this.#merge();
  }

  get content(): DirectoryContent {
    return this.#content;
  }

  /**
   * Reads what has changed on disk.
   *
   * @returns whether the content changed, and whether some file was found empty that was not: it may be about to be
   * written, so its content is kept until the next scan finds it empty again
   */
  async scan(): Promise<{ changed: boolean; unsettled: boolean }> {
    let changed = false;
    let unsettled = false;
    const found = new Set<string>();
    const problem = this.#problem;
    this.#problem = null;
    try {
      for await (const path of walk(this.#directory, "")) {
        found.add(path);
        const result = await this.#load(path);
        changed ||= result === "changed";
        unsettled ||= result === "unsettled";
      }
    } catch (error) {
      // Whatever keeps the directory from being read, what it said last stays in force.
      this.#problem = problemOf(this.#directory, `the directory cannot be read: ${reasonOf(error)}`);
      changed ||= problem?.message !== this.#problem.message;
    }
    if (this.#problem === null) {
      changed ||= problem !== null;
      for (const path of this.#files.keys()) {
        if (!found.has(path)) changed = this.#files.delete(path) || changed;
      }
    }
    if (changed) this.#merge();
    return { changed, unsettled };
  }

  async #load(path: string): Promise<"same" | "changed" | "unsettled"> {
    const place = join(this.#directory, path);
    const known = this.#files.get(path);
    try {
      const { mtime, size, ino, dev } = await Deno.stat(place);
      const stamp = [mtime?.getTime(), size, ino, dev].join(" ");
      if (known?.stamp === stamp) return "same";
      if (size > sizeLimit) throw new Error(`it has ${size} bytes, more than ${sizeLimit}`);
      const text = await Deno.readTextFile(place);
      if (known !== undefined && text === "" && known.text !== "") {
        known.text = "";
        return "unsettled";
      }
      if (known !== undefined && known.stamp !== "" && known.text === text && text !== "") {
        known.stamp = stamp;
        return "same";
      }
      const { resources, problems } = parseResources(place, text);
      const good = !hasErrors(problems);
      this.#files.set(path, { stamp, text, problems, resources: good ? resources : known?.resources ?? [] });
    } catch (error) {
      if (error instanceof Deno.errors.NotFound && known === undefined) return "same";
      const problem = problemOf(place, `cannot be read: ${reasonOf(error)}`);
      if (known?.problems[0]?.message === problem.message) return "same";
      this.#files.set(path, { stamp: "", text: "", problems: [problem], resources: known?.resources ?? [] });
    }
    return "changed";
  }

  #merge(): void {
    const previous = new Map(this.#content.resources.map((resource) => [keyOf(resource), resource]));
    const resources = new Map<string, Resource>();
    const problems: Problem[] = this.#problem === null ? [] : [this.#problem];
    for (const path of [...this.#files.keys()].sort()) {
      const file = this.#files.get(path)!;
      problems.push(...file.problems);
      for (const resource of file.resources) {
        const key = keyOf(resource);
        const first = resources.get(key);
        if (first !== undefined) {
          problems.push(duplicateOf(first, resource));
          continue;
        }
        // What is compiled from a resource is found again by the object.
        const before = previous.get(key);
        resources.set(key, before !== undefined && equalContent(before, resource) ? before : resource);
      }
    }
    this.#content = { resources: [...resources.values()], problems };
  }
}

/** Relative paths of the resource files below a directory. Links are followed, as Kubernetes' mounts need it. */
async function* walk(directory: string, below: string, depth = 0): AsyncGenerator<string> {
  // Deeper there is nothing but a link that leads back.
  if (depth > 32) return;
  for await (const entry of Deno.readDir(join(directory, below))) {
    // Editors' swap files, and the directories in which mounts keep their versions.
    if (entry.name.startsWith(".")) continue;
    const path = join(below, entry.name);
    let { isDirectory, isFile } = entry;
    if (entry.isSymlink) {
      const target = await Deno.stat(join(directory, path)).catch(() => null);
      isDirectory = target?.isDirectory ?? false;
      isFile = target?.isFile ?? false;
    }
    if (isDirectory) yield* walk(directory, path, depth + 1);
    else if (isFile && extensions.test(entry.name)) yield path;
  }
}

function keyOf({ kind, metadata: { namespace, name } }: Resource): string {
  return `${kind}/${namespace}/${name}`;
}

function equalContent(one: Resource, other: Resource): boolean {
  return one === other || JSON.stringify(one) === JSON.stringify(other);
}

function duplicateOf(first: Resource, second: Resource): Problem {
  const { kind, metadata: { namespace, name }, origin } = second;
  const place = `${first.origin.file}:${first.origin.line}`;
  const message = `is defined before, in ${place}, which stays in force; remove one of the two`;
  return { ...origin, severity: "error", kind, namespace, name, path: "", message };
}

function problemOf(file: string, message: string): Problem {
  return { file, line: 1, column: 1, severity: "error", kind: "", namespace: "", name: "", path: "", message };
}

function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
