/** `StringMatch` and the RE2 patterns in it. */
import { RE2JS } from "re2js";
import { exactlyOne, message } from "../../yaml/collections.ts";
import { nonEmpty, number, type Schema, schema, string, text } from "../../yaml/schema.ts";
import type { Percent, StringMatch } from "../types.ts";
import { quote } from "../../yaml/node.ts";

/** Istio's limit, which stands in for Envoy's limit on the compiled program. */
const longestPattern = 1024;

/**
 * Bound for characters times counted repetitions, which bounds the compiled program: 1,024 characters such as
 * `x{1000}x{1000}…` compile to 146,000 instructions, each of them a step per character of every path.
 */
const largestProgram = 100_000;

/** A text rule: compiles under RE2, within Istio's length and to a program of bearable size. */
export function re2(value: string): string | undefined {
  if (value === "") return "not be empty";
  if (value.length > longestPattern) return `have at most ${longestPattern} characters`;
  const repetitions = [...value.matchAll(/\{(\d+)(?:,(\d*))?\}/g)]
    .reduce((sum, [, least, most]) => sum + Math.max(Number(least), Number(most ?? 0)), 1);
  if (repetitions * value.length > largestProgram) return "repeat less: {n} copies what stands before it n times";
  try {
    RE2JS.compile(value);
    return undefined;
  } catch (error) {
    return `be a regular expression of RE2's syntax (${quote((error as Error).message)})`;
  }
}

/** Exactly one of exact, prefix and regex; of these only exact may be empty. */
export const stringMatch: Schema<StringMatch> = message<StringMatch>(
  { exact: text(), prefix: string(nonEmpty), regex: string(re2) },
  (_, cursor) => exactlyOne(cursor, "exact", "prefix", "regex"),
);

/** Of headers and query parameters, where `{}` asks for presence alone. */
export const presenceOrMatch: Schema<StringMatch> = schema(
  stringMatch.json,
  (cursor) => cursor.node.type === "map" && cursor.node.entries.size === 0 ? {} : stringMatch(cursor),
);

/** 0, or from 0.0001 to 100: Envoy counts in millionths. */
export const percent: Schema<Percent> = message<Percent>({ value: number(0, 100) }, ({ value }, cursor) => {
  if (value !== undefined && value > 0 && value < 0.0001) {
    cursor.at("value").error(`must be 0 or at least 0.0001, found ${value}`);
  }
});
