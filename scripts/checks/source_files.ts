/** The repository's own files, as the checks see them. */
import { join, relative } from "node:path";
import ts from "typescript";

/** Folders that hold nothing of ours: version control, packages, generated code, build output. */
const foreign = [/^\.git$/, /^node_modules$/, /^dist$/, /^routing\/xds\/gen/];

export interface SourceFile {
  /** Relative to the root of the repository, with `/`. */
  path: string;
  text: string;
}

/** One breach of a rule. */
export interface Violation {
  /** `path:line` where the rule has a line, else the path. */
  place: string;
  rule: string;
  /** Why the rule exists, and what to do instead. */
  reason: string;
}

/** Every text file below `root` that is not foreign, sorted by path. */
export function sourceFiles(root: string): SourceFile[] {
  const files: SourceFile[] = [];
  const visit = (folder: string) => {
    for (const entry of Deno.readDirSync(folder)) {
      const path = join(folder, entry.name);
      const name = relative(root, path);
      if (foreign.some((pattern) => pattern.test(name))) continue;
      if (entry.isDirectory) visit(path);
      else if (entry.isFile) files.push({ path: name, text: Deno.readTextFileSync(path) });
    }
  };
  visit(root);
  return files.sort((a, b) => a.path < b.path ? -1 : 1);
}

/** True for code that runs in tests only. */
export function isTest(path: string): boolean {
  return path.endsWith("_test.ts") || path.startsWith("tests/");
}

/** Parses TypeScript without resolving anything. */
export function parse(file: SourceFile): ts.SourceFile {
  return ts.createSourceFile(file.path, file.text, ts.ScriptTarget.Latest, true);
}

/** 1-based line of an offset. */
export function lineOf(text: string, offset: number): number {
  let line = 1;
  for (let i = text.indexOf("\n"); i >= 0 && i < offset; i = text.indexOf("\n", i + 1)) line++;
  return line;
}
