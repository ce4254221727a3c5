/** `skiff validate`: checks Istio resources on disk, offline. */
import { join, resolve } from "node:path";
import { findDuplicates } from "../routing/istio/duplicates.ts";
import { formatProblem, hasErrors, parseResources, type Problem } from "../routing/istio/parse.ts";
import type { Resource } from "../routing/istio/types.ts";
import { UsageError } from "./usage_error.ts";

/**
 * Checks every file of `-f FILE|DIR [-f …]`, directories with all below them, and each resource against the others.
 * Problems go to stdout, one line each, a summary to stderr.
 *
 * @returns 0: valid, perhaps with warnings; 1: invalid; 2: something could not be read.
 * @throws {UsageError} for other arguments, or none.
 */
export async function validateCommand(args: string[]): Promise<number> {
  const unreadable: string[] = [];
  const problems: Problem[] = [];
  const resources: Resource[] = [];
  /** By absolute path, so that a file named twice is read once. */
  const files = new Map<string, string>();
  for (const path of pathsOf(args)) {
    try {
      for (const file of await resourceFiles(path)) files.set(resolve(file), file);
    } catch (error) {
      unreadable.push(`${path}: cannot be read: ${(error as Error).message}`);
    }
  }
  for (const file of files.values()) {
    try {
      const parsed = parseResources(file, new TextDecoder("utf-8", { fatal: true }).decode(await Deno.readFile(file)));
      problems.push(...parsed.problems);
      resources.push(...parsed.resources);
    } catch (error) {
      unreadable.push(`${file}: cannot be read: ${(error as Error).message}`);
    }
  }
  problems.push(...findDuplicates(resources));
  for (const problem of problems) console.log(formatProblem(problem));
  for (const message of unreadable) console.error(message);
  console.error(summary(files.size, resources.length, problems));
  if (unreadable.length > 0) return 2;
  return hasErrors(problems) ? 1 : 0;
}

function pathsOf(args: string[]): string[] {
  const paths: string[] = [];
  for (let index = 0; index < args.length; index += 2) {
    if (args[index] !== "-f" && args[index] !== "--file") {
      throw new UsageError(`validate takes -f FILE|DIR, found ${args[index]}`);
    }
    if (args[index + 1] === undefined) throw new UsageError(`${args[index]} needs a value: -f FILE|DIR`);
    paths.push(args[index + 1]);
  }
  if (paths.length === 0) throw new UsageError("validate needs at least one -f FILE|DIR");
  return paths;
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

function summary(files: number, resources: number, problems: Problem[]): string {
  const errors = problems.filter((problem) => problem.severity === "error").length;
  const counts = [
    counted(files, "file"),
    counted(resources, "valid resource"),
    counted(errors, "error"),
    counted(problems.length - errors, "warning"),
  ];
  return counts.join(", ");
}

function counted(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? "" : "s"}`;
}
