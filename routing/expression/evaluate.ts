/** Evaluates expressions as CEL does: what is not there makes an error, which `&&` and `||` outlive where they can. */
import type { Attribute, Comparison, Expression, Operand } from "./parse.ts";

/** What an expression is about. `undefined`: there is no such thing. */
export interface Facts {
  attribute(name: Attribute): string | number | boolean | undefined;
  header(of: "request" | "response", name: string): string | undefined;
}

/** Whether the expression holds; an error counts as false. */
export function holds(expression: Expression, facts: Facts): boolean {
  return evaluate(expression, facts) === true;
}

/** `null`: an error. */
function evaluate(expression: Expression, facts: Facts): boolean | null {
  switch (expression.kind) {
    case "all":
      return join(expression.of, facts, false);
    case "any":
      return join(expression.of, facts, true);
    case "not": {
      const inner = evaluate(expression.of, facts);
      return inner === null ? null : !inner;
    }
    case "present":
      return facts.header(expression.header.of, expression.header.name) !== undefined;
    case "text": {
      const text = valueOf(expression.of, facts);
      if (typeof text !== "string") return null;
      if (expression.test === "contains") return text.includes(expression.value);
      return expression.test === "startsWith" ? text.startsWith(expression.value) : text.endsWith(expression.value);
    }
    case "compare":
      return compare(expression.operator, valueOf(expression.left, facts), valueOf(expression.right, facts));
    case "truth": {
      const value = valueOf(expression.of, facts);
      return typeof value === "boolean" ? value : null;
    }
  }
}

/** @param decisive the value of one part that is that of the whole, whatever the others are */
function join(parts: readonly Expression[], facts: Facts, decisive: boolean): boolean | null {
  let error = false;
  for (const part of parts) {
    const value = evaluate(part, facts);
    if (value === decisive) return decisive;
    if (value === null) error = true;
  }
  return error ? null : !decisive;
}

type Value = string | number | boolean | undefined;

function valueOf(operand: Operand, facts: Facts): Value {
  if (operand.kind === "literal") return operand.value;
  return operand.kind === "header" ? facts.header(operand.of, operand.name) : facts.attribute(operand.name);
}

function compare(operator: Comparison, left: Value, right: Value): boolean | null {
  if (left === undefined || right === undefined) return null;
  if (operator === "==") return left === right;
  if (operator === "!=") return left !== right;
  if (typeof left !== typeof right) return null;
  if (operator === "<") return left < right;
  if (operator === "<=") return left <= right;
  return operator === ">" ? left > right : left >= right;
}
