/** `skiff validate`: checks Istio resources on disk, offline. */
import { formatProblem, hasErrors, type Problem } from "../routing/istio/parse.ts";
import { readResourceInput } from "./resource_input.ts";

/**
 * Checks every file, directories with all below them, and each resource against the others. Problems go to stdout, one
 * line each, a summary to stderr.
 *
 * @returns 0: valid, perhaps with warnings; 1: invalid; 2: something could not be read.
 */
export async function validateCommand(paths: string[]): Promise<number> {
  const { resources, problems, unreadable, texts } = await readResourceInput(paths);
  for (const problem of problems) console.log(formatProblem(problem));
  for (const message of unreadable) console.error(message);
  console.error(summary(texts.size, resources.length, problems));
  if (unreadable.length > 0) return 2;
  return hasErrors(problems) ? 1 : 0;
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

export function counted(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? "" : "s"}`;
}
