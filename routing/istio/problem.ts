/** What is wrong with a file of configuration, and how it is printed. */
import type { Issue, Severity } from "../yaml/cursor.ts";

/** One error or warning, with its place. Parts that are not known are empty. */
export interface Problem {
  file: string;
  /** 1-based. */
  line: number;
  column: number;
  severity: Severity;
  kind: string;
  namespace: string;
  name: string;
  /** `spec.http[0].timeout`; empty when it concerns the whole document. */
  path: string;
  message: string;
}

/** Which resource a problem belongs to. */
export interface Subject {
  kind: string;
  namespace: string;
  name: string;
}

export function problemOf(file: string, subject: Subject, issue: Issue): Problem {
  const { kind, namespace, name } = subject;
  const { position, severity, path, message } = issue;
  return { file, line: position.line, column: position.column, severity, kind, namespace, name, path, message };
}

/** `FILE:LINE:COLUMN: error|warning: KIND/NAMESPACE/NAME: field.path: message`; parts that are not known are left out. */
export function formatProblem(problem: Problem): string {
  const { file, line, column, severity, kind, namespace, name, path, message } = problem;
  const subject = [kind, namespace, name].filter((part) => part !== "").join("/");
  const rest = [`${file}:${line}:${column}`, severity, subject, path, message].filter((part) => part !== "");
  return rest.join(": ").replaceAll(
    // deno-lint-ignore no-control-regex -- control characters are what this replaces
    /[\x00-\x1f\x7f-\x9f]/g,
    (character) => "\\x" + character.charCodeAt(0).toString(16).padStart(2, "0"),
  );
}

/** By their place in the text; those of one place in the order in which they were found. All of one file. */
export function inOrderOfText(problems: Problem[]): Problem[] {
  return problems.toSorted((one, other) => one.line - other.line || one.column - other.column);
}

export function hasErrors(problems: Problem[]): boolean {
  return problems.some((problem) => problem.severity === "error");
}
