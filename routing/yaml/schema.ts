/**
 * A small schema language: each schema checks one value, reports all that is wrong with it, and gives it typed.
 *
 * Schemas are functions, so that a new kind of value is an ordinary function too. `null` never comes back: it means
 * "not written", and `undefined` means "reported as wrong". Each also carries what JSON Schema can say of it, from which
 * the schemas for editors are made.
 */
import type { Cursor } from "./cursor.ts";
import { describe, quote } from "./node.ts";
import { nearest } from "./suggest.ts";

/** A schema of draft 2020-12, as far as ours need it. */
export interface JsonSchema {
  readonly [keyword: string]: unknown;
}

export interface Schema<T> {
  /** The value, or `undefined` after at least one error was reported on the cursor. */
  (cursor: Cursor): T | undefined;
  /** What JSON Schema can say of the values; without it, nothing. */
  json?: JsonSchema;
}

/** The check, with what JSON Schema can say of the values that it takes. */
export function schema<T>(json: JsonSchema | undefined, check: (cursor: Cursor) => T | undefined): Schema<T> {
  return Object.assign((cursor: Cursor) => check(cursor), json && { json });
}

/** What the text must be, in the words of a message: "must be …". `undefined`: it is fine. */
export type TextRule = (value: string) => string | undefined;

const longest = 64 * 1024;

/** A string without control characters, 64 KiB at most, that passes each rule. */
export function string(...rules: TextRule[]): Schema<string> {
  return text(oneLine, ...rules);
}

/** A string that may have line breaks and other control characters. */
export function text(...rules: TextRule[]): Schema<string> {
  return schema({ type: "string" }, (cursor) => {
    const { node } = cursor;
    if (node.type !== "scalar" || typeof node.value !== "string") {
      const remedy = node.type === "scalar" && node.value !== null ? `: put it in quotes` : "";
      return wrong(cursor, `must be a string, found ${describe(node)}${remedy}`);
    }
    if (node.value.length > longest) return wrong(cursor, `must have at most ${longest} characters`);
    for (const rule of rules) {
      const expected = rule(node.value);
      if (expected !== undefined) return wrong(cursor, `must ${expected}, found ${quote(node.value)}`);
    }
    return node.value;
  });
}

function oneLine(value: string): string | undefined {
  // deno-lint-ignore no-control-regex -- control characters are what this refuses
  return /[\x00-\x1f\x7f]/.test(value) ? "be one line without control characters" : undefined;
}

/** A text rule: not empty. */
export function nonEmpty(value: string): string | undefined {
  return value === "" ? "not be empty" : undefined;
}

export function integer(minimum: number, maximum: number): Schema<number> {
  return schema({ type: "integer", minimum, maximum }, (cursor) => {
    const { node } = cursor;
    const range = `must be an integer from ${minimum} to ${maximum}`;
    if (node.type !== "scalar" || typeof node.value !== "number" || !Number.isInteger(node.value)) {
      const unquote = node.type === "scalar" && node.quoted && /^\d+$/.test(node.source) ? ": remove the quotes" : "";
      return wrong(cursor, `${range}, found ${describe(node)}${unquote}`);
    }
    return node.value < minimum || node.value > maximum
      ? wrong(cursor, `${range}, found ${describe(node)}`)
      : node.value;
  });
}

/** A finite number in the range, both ends included. */
export function number(minimum: number, maximum: number): Schema<number> {
  return schema({ type: "number", minimum, maximum }, (cursor) => {
    const { node } = cursor;
    const value = node.type === "scalar" ? node.value : undefined;
    if (typeof value !== "number" || !(value >= minimum && value <= maximum)) {
      return wrong(cursor, `must be a number from ${minimum} to ${maximum}, found ${describe(node)}`);
    }
    return value;
  });
}

/** `true` and `false`, and the words that YAML 1.1 (which Kubernetes reads) takes for them. */
export const boolean: Schema<boolean> = schema({ type: "boolean" }, (cursor) => {
  const { node } = cursor;
  if (node.type === "scalar") {
    if (typeof node.value === "boolean") return node.value;
    if (!node.quoted && /^(yes|on)$/i.test(node.source)) return true;
    if (!node.quoted && /^(no|off)$/i.test(node.source)) return false;
  }
  return wrong(cursor, `must be true or false, found ${describe(node)}`);
});

export function enumeration<const T extends string>(...values: T[]): Schema<T> {
  return schema({ enum: values }, (cursor) => {
    const { node } = cursor;
    if (node.type === "scalar" && values.includes(node.value as T)) {
      return node.value as T;
    }
    const meant = node.type === "scalar" && !cursor.report.full ? nearest(node.source, values) : undefined;
    const hint = meant === undefined ? "" : `; did you mean ${meant}?`;
    return wrong(cursor, `must be one of ${values.join(", ")}, found ${describe(node)}${hint}`);
  });
}

/** Takes whatever is there, unread. */
export const anything: Schema<unknown> = (cursor) => plain(cursor);

function plain(cursor: Cursor): unknown {
  const { node } = cursor;
  if (node.type === "scalar") return node.value;
  if (node.type === "list") return cursor.items().map(plain);
  return Object.fromEntries([...node.entries.keys()].map((key) => [key, plain(cursor.at(key))]));
}

/** Adds a rule to a schema; it runs only on values that the schema found good. */
export function refine<T>(inner: Schema<T>, rule: (value: T, cursor: Cursor) => void): Schema<T> {
  return schema(inner.json, (cursor) => {
    const value = inner(cursor);
    if (value === undefined) return undefined;
    const before = cursor.report.errors;
    rule(value, cursor);
    return cursor.report.errors === before ? value : undefined;
  });
}

/** Reports the error; the `undefined` it gives is what the schema gives. */
export function wrong(cursor: Cursor, message: string): undefined {
  cursor.error(message);
  return undefined;
}
