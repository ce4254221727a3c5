/** Resources on disk, as commands take them with `-f`. */
import { join, resolve } from "node:path";
import { findDuplicates } from "../routing/istio/duplicates.ts";
import { parseResources, type Problem } from "../routing/istio/parse.ts";
import type { Resource } from "../routing/istio/types.ts";

export interface ReadResources {
  resources: Resource[];
  /** What is wrong with files and resources, those written twice among them. */
  problems: Problem[];
  /** One line for each file or directory that could not be read. */
  unreadable: string[];
  /** Text of each file, by the name in {@link Resource.origin}. */
  texts: Map<string, string>;
}

/** Reads files, and directories with all *.yaml, *.yml and *.json below them. */
export async function readResourceInput(paths: string[]): Promise<ReadResources> {
  const input: ReadResources = { resources: [], problems: [], unreadable: [], texts: new Map() };
  /** By absolute path, so that a file named twice is read once. */
  const files = new Map<string, string>();
  for (const path of paths) {
    try {
      for (const file of await resourceFiles(path)) files.set(resolve(file), file);
    } catch (error) {
      input.unreadable.push(`${path}: cannot be read: ${(error as Error).message}`);
    }
  }
  for (const file of files.values()) {
    try {
      const text = new TextDecoder("utf-8", { fatal: true }).decode(await Deno.readFile(file));
      const { resources, problems } = parseResources(file, text);
      input.texts.set(file, text);
      input.problems.push(...problems);
      input.resources.push(...resources);
    } catch (error) {
      input.unreadable.push(`${file}: cannot be read: ${(error as Error).message}`);
    }
  }
  input.problems.push(...findDuplicates(input.resources));
  return input;
}

/** The file itself, or the *.yaml, *.yml and *.json files below the directory, in the order of their names. */
async function resourceFiles(path: string): Promise<string[]> {
  if (!(await Deno.stat(path)).isDirectory) return [path];
  const entries = (await Array.fromAsync(Deno.readDir(path))).sort((one, other) => one.name < other.name ? -1 : 1);
  const nested = await Promise.all(entries.map((entry) => filesOf(join(path, entry.name), entry)));
  return nested.flat();
}

async function filesOf(path: string, entry: Deno.DirEntry): Promise<string[]> {
  if (entry.isDirectory) return await resourceFiles(path);
  if (!/\.(yaml|yml|json)$/.test(entry.name)) return [];
  // Links to files are followed, as volumes of configuration have them; links to directories could turn in circles.
  return entry.isFile || !(await Deno.stat(path)).isDirectory ? [path] : [];
}
