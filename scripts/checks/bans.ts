/** What no file may hold, each ban with its reason. */
import ts from "typescript";
import { isTest, lineOf, parse, type SourceFile, type Violation } from "./source_files.ts";

/** A ban returns the offsets of what it found. */
interface Ban {
  rule: string;
  reason: string;
  applies(path: string): boolean;
  find(file: SourceFile): number[];
}

const isCode = (path: string) => path.endsWith(".ts");
/** Words that mark unfinished work, written so that this file does not hold them. */
const unfinished = /\b(?:TO{1}DO|FIX{1}ME)\b/g;
const maximumLines = 700;

const bans: Ban[] = [
  {
    rule: "FFI outside agent/sys",
    reason: "native memory is where TypeScript can crash the process: only agent/sys/ calls C, wrap the call there",
    applies: (path) => isCode(path) && !path.startsWith("agent/sys/"),
    find: (file) => names(file, ["Deno.dlopen", "Deno.UnsafePointer", "Deno.UnsafePointerView", "Deno.UnsafeCallback"]),
  },
  {
    rule: "clock, randomness or I/O in routing",
    reason: "routing/ is pure, so that its results can be replayed and compared: take the value as a parameter",
    applies: (path) => isCode(path) && path.startsWith("routing/") && !isTest(path),
    find: (file) => [...names(file, impure), ...clockReadingDates(file), ...impureImports(file)],
  },
  {
    rule: "registry host name",
    reason:
      "a mirror's address in a tracked file breaks every machine that cannot reach it: the clients know where to go",
    applies: () => true,
    find: (file) => registryHosts().flatMap((host) => occurrences(file.text, host)),
  },
  {
    rule: `more than ${maximumLines} lines`,
    reason: "a file has one job; split it by what its parts do",
    applies: isCode,
    find: (file) => file.text.split("\n").length - 1 > maximumLines ? [file.text.length - 1] : [],
  },
  {
    rule: "name that says nothing",
    reason: "such files collect what has no home: name the file after its job",
    applies: (path) => /(?:^|\/)(?:utils?|helpers?|common|misc)(?:_test)?\.ts$/.test(path),
    find: () => [0],
  },
  {
    rule: "unfinished work marked in place",
    reason: "finish it, or write an issue: marks in the code are never read again",
    applies: (path) => /\.(?:ts|md|sh|ya?ml)$/.test(path) || path === ".ci/run",
    find: (file) =>
      isCode(file.path)
        ? comments(file).flatMap(({ offset, text }) => matches(text, unfinished).map((at) => offset + at))
        : matches(file.text, unfinished),
  },
];

const impure = [
  "Date.now",
  "performance.now",
  "performance.timeOrigin",
  "Math.random",
  "crypto.getRandomValues",
  "crypto.randomUUID",
  "setTimeout",
  "setInterval",
  "queueMicrotask",
  "fetch",
  "Deno.*",
  "console.*",
];

/** All bans over all files, in the order of the files. */
export function findBanned(files: SourceFile[]): Violation[] {
  return files.flatMap((file) =>
    bans.filter((ban) => ban.applies(file.path)).flatMap((ban) =>
      ban.find(file).map((offset) => ({
        place: `${file.path}:${lineOf(file.text, offset)}`,
        rule: ban.rule,
        reason: ban.reason,
      }))
    )
  );
}

/** Offsets where code (not a comment, not a string) uses a global `name`, `object.member` or any member of `object.*`. */
function names(file: SourceFile, wanted: string[]): number[] {
  const found: number[] = [];
  const visit = (node: ts.Node) => {
    if (ts.isPropertyAccessExpression(node)) {
      const object = node.expression.getText().replace(/^globalThis\./, "");
      if (wanted.includes(`${object}.${node.name.text}`) || wanted.includes(`${object}.*`)) found.push(node.getStart());
    } else if (ts.isCallExpression(node) && ts.isIdentifier(node.expression)) {
      if (wanted.includes(node.expression.text)) found.push(node.getStart());
    }
    ts.forEachChild(node, visit);
  };
  visit(parse(file));
  return found;
}

/** `new Date()` and `Date()`, which read the clock; `new Date(value)` does not. */
function clockReadingDates(file: SourceFile): number[] {
  const found: number[] = [];
  const visit = (node: ts.Node) => {
    const isDate = (ts.isNewExpression(node) || ts.isCallExpression(node)) && node.expression.getText() === "Date";
    if (isDate && (node.arguments?.length ?? 0) === 0) found.push(node.getStart());
    ts.forEachChild(node, visit);
  };
  visit(parse(file));
  return found;
}

/** Pure functions that only the runtime's modules have. */
const pureImports = ["isIP", "isIPv4", "isIPv6"];

/** Imports of the runtime's modules, by which I/O could come in. */
function impureImports(file: SourceFile): number[] {
  return parse(file).statements.filter(ts.isImportDeclaration)
    .filter(({ moduleSpecifier }) => ts.isStringLiteral(moduleSpecifier) && moduleSpecifier.text.startsWith("node:"))
    .filter(({ importClause }) => {
      const bindings = importClause?.namedBindings;
      return bindings === undefined || !ts.isNamedImports(bindings) ||
        !bindings.elements.every(({ name }) => pureImports.includes(name.text));
    })
    .map((statement) => statement.getStart());
}

/** The public registries, and the one that this machine is told to use. */
function registryHosts(): string[] {
  const hosts = [["registry", "npmjs", "org"], ["registry", "yarnpkg", "com"], ["npm", "jsr", "io"]]
    .map((parts) => parts.join("."));
  const own = Deno.env.get("NPM_CONFIG_REGISTRY") ?? Deno.env.get("npm_config_registry");
  if (own !== undefined && URL.canParse(own)) hosts.push(new URL(own).hostname);
  return [...new Set(hosts)];
}

function comments(file: SourceFile): { offset: number; text: string }[] {
  const scanner = ts.createScanner(ts.ScriptTarget.Latest, false, ts.LanguageVariant.Standard, file.text);
  const ranges = new Map<number, string>();
  // The tree, not a bare scan, so that regular expressions and templates are told from comments.
  const visit = (node: ts.Node) => {
    if (node.getChildCount() > 0) {
      for (const child of node.getChildren()) visit(child);
      return;
    }
    scanner.setText(file.text, node.pos, node.getStart() - node.pos);
    for (let token = scanner.scan(); token !== ts.SyntaxKind.EndOfFileToken; token = scanner.scan()) {
      if (token === ts.SyntaxKind.SingleLineCommentTrivia || token === ts.SyntaxKind.MultiLineCommentTrivia) {
        ranges.set(scanner.getTokenStart(), scanner.getTokenText());
      }
    }
  };
  visit(parse(file));
  return [...ranges].map(([offset, text]) => ({ offset, text }));
}

function occurrences(text: string, wanted: string): number[] {
  const found: number[] = [];
  for (let at = text.indexOf(wanted); at >= 0; at = text.indexOf(wanted, at + 1)) found.push(at);
  return found;
}

function matches(text: string, pattern: RegExp): number[] {
  return [...text.matchAll(pattern)].map((match) => match.index);
}
