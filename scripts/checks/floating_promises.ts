/**
 * Promises that nobody waits for. A rejected one ends the process far from its cause, and a request whose promise is
 * dropped is lost. Deno's linter does not know types, so the TypeScript compiler is asked here.
 */
import { join, relative } from "node:path";
import ts from "typescript";
import { lineOf, type Violation } from "./source_files.ts";

const reason = "await it, return it, handle its rejection with catch, or write `void` and why nobody has to wait";

const options: ts.CompilerOptions = {
  target: ts.ScriptTarget.ESNext,
  module: ts.ModuleKind.ESNext,
  moduleResolution: ts.ModuleResolutionKind.Bundler,
  allowImportingTsExtensions: true,
  strict: true,
  noEmit: true,
  skipLibCheck: true,
  types: [],
  noLib: false,
  lib: ["lib.esnext.d.ts"],
};

/** Statements that drop a promise, in the given files (absolute paths). `denoTypes` is the path of `deno types`' output. */
export function findFloatingPromises(root: string, paths: string[], denoTypes: string): Violation[] {
  const program = ts.createProgram([denoTypes, ...paths], options);
  const checker = program.getTypeChecker();
  const violations: Violation[] = [];
  for (const path of paths) {
    const source = program.getSourceFile(path);
    if (source === undefined) throw new Error(`${path}: the compiler could not read it`);
    const visit = (node: ts.Node) => {
      if (ts.isExpressionStatement(node) && isFloating(node.expression, checker)) {
        violations.push({
          place: `${relative(root, path)}:${lineOf(source.text, node.getStart())}`,
          rule: "floating promise",
          reason,
        });
      }
      ts.forEachChild(node, visit);
    };
    visit(source);
  }
  return violations;
}

/** Writes the runtime's type declarations where the compiler can read them, and returns the path. */
export async function writeDenoTypes(folder: string): Promise<string> {
  const { success, stdout } = await new Deno.Command(Deno.execPath(), { args: ["types"] }).output();
  if (!success) throw new Error("deno types failed");
  const path = join(folder, "deno.d.ts");
  await Deno.writeFile(path, stdout);
  return path;
}

function isFloating(expression: ts.Expression, checker: ts.TypeChecker): boolean {
  if (ts.isParenthesizedExpression(expression)) return isFloating(expression.expression, checker);
  if (ts.isConditionalExpression(expression)) {
    return isFloating(expression.whenTrue, checker) || isFloating(expression.whenFalse, checker);
  }
  if (ts.isBinaryExpression(expression)) {
    const operator = expression.operatorToken.kind;
    // What is assigned is kept; of the others the right side is the statement's value.
    return operator < ts.SyntaxKind.FirstAssignment || operator > ts.SyntaxKind.LastAssignment
      ? isFloating(expression.right, checker)
      : false;
  }
  if (ts.isAwaitExpression(expression) || ts.isVoidExpression(expression)) return false;
  if (!isThenable(checker.getTypeAtLocation(expression), expression, checker)) return false;
  return !(ts.isCallExpression(expression) && handlesRejection(expression));
}

/** `….catch(handler)` and `….then(done, handler)`. */
function handlesRejection(call: ts.CallExpression): boolean {
  if (!ts.isPropertyAccessExpression(call.expression)) return false;
  const { name, expression } = call.expression;
  if (name.text === "catch") return call.arguments.length >= 1;
  if (name.text === "then") return call.arguments.length >= 2;
  return name.text === "finally" && ts.isCallExpression(expression) && handlesRejection(expression);
}

function isThenable(type: ts.Type, at: ts.Node, checker: ts.TypeChecker): boolean {
  if (type.flags & (ts.TypeFlags.Any | ts.TypeFlags.Unknown)) return false;
  if (type.isUnion()) return type.types.some((part) => isThenable(part, at, checker));
  const then = type.getProperty("then");
  return then !== undefined && checker.getTypeOfSymbolAtLocation(then, at).getCallSignatures().length > 0;
}
