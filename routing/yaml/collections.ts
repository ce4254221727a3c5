/** Schemas for what holds other values: lists, maps with free keys, objects with known keys, alternatives. */
import { camelCase, Cursor, Report } from "./cursor.ts";
import { describe, isNull, type MapEntry, quote } from "./node.ts";
import { type JsonSchema, type Schema, schema, type TextRule, wrong } from "./schema.ts";
import { nearest } from "./suggest.ts";

export interface SizeRange {
  minimum?: number;
  maximum?: number;
}

export function list<T>(item: Schema<T>, size: SizeRange = {}): Schema<T[]> {
  const { minimum = 0, maximum = 4096 } = size;
  const json = { type: "array", items: item.json ?? {}, ...(minimum > 0 && { minItems: minimum }), maxItems: maximum };
  return schema(json, (cursor) => {
    if (cursor.node.type !== "list") return wrong(cursor, `must be a list, found ${describe(cursor.node)}`);
    const count = cursor.node.items.length;
    if (count < minimum || count > maximum) {
      return wrong(cursor, `must have ${minimum} to ${maximum} items, found ${count}`);
    }
    const values = cursor.items().map(item);
    return values.every((value) => value !== undefined) ? values as T[] : undefined;
  });
}

/** A map whose keys the user chooses. */
export function map<T>(value: Schema<T>, key?: TextRule, size: SizeRange = {}): Schema<Record<string, T>> {
  const { maximum = 4096 } = size;
  return schema({ type: "object", additionalProperties: value.json ?? {}, maxProperties: maximum }, (cursor) => {
    if (cursor.node.type !== "map") return wrong(cursor, `must be a map, found ${describe(cursor.node)}`);
    const { entries } = cursor.node;
    if (entries.size > maximum) return wrong(cursor, `must have at most ${maximum} keys, found ${entries.size}`);
    const before = cursor.report.errors;
    const result: Record<string, T> = {};
    for (const name of entries.keys()) {
      const expected = key?.(name);
      if (expected !== undefined) cursor.atKey(name).error(`the key must ${expected}, found ${quote(name)}`);
      const child = value(cursor.at(name));
      if (child !== undefined) result[name] = child;
    }
    return cursor.report.errors === before ? result : undefined;
  });
}

/** Marks a field that must be written. */
export interface Required<T> {
  required: Schema<T>;
}

export function required<T>(schema: Schema<T>): Required<T> {
  return { required: schema };
}

/** A schema for every key of the type: the compiler holds the two together. */
export type Fields<T> = {
  [K in keyof T]-?: undefined extends T[K] ? Schema<Exclude<T[K], undefined>> : Required<T[K]>;
};

/** Far above any message's fields; keeps the work per object small. */
const mostKeys = 256;

export interface ObjectOptions<T> {
  /**
   * Rules between fields. They run even when single fields are wrong, so that everything is reported at once: a wrong
   * field is absent from the value, while the cursor's `has` still tells that it was written.
   */
  rules?: (value: Partial<T>, cursor: Cursor) => void;
  /** Keys that are right to write and that nothing here reads. */
  unread?: readonly string[];
  /** Takes snake_case spellings of the keys, as protobuf's JSON form does. */
  snakeCase?: boolean;
}

export function object<T extends object>(fields: Fields<T>, options: ObjectOptions<T> = {}): Schema<T> {
  const known = new Map<string, Schema<unknown> | Required<unknown>>(Object.entries(fields));
  const unread = new Set(options.unread);
  const names = [...known.keys(), ...unread];
  return schema(jsonOf(known, unread), (cursor) => {
    if (cursor.node.type !== "map") return wrong(cursor, `must be a map, found ${describe(cursor.node)}`);
    const { entries } = cursor.node;
    if (entries.size > mostKeys) {
      return wrong(cursor, `must have at most ${mostKeys} fields, found ${entries.size}`);
    }
    const before = cursor.report.errors;
    const written = new Map<string, MapEntry>();
    for (const entry of entries.values()) {
      const name = options.snakeCase && !known.has(entry.key) ? camelCase(entry.key) : entry.key;
      if (!known.has(name)) {
        if (!unread.has(name)) reportUnknown(cursor, entry.key, names);
      } else if (written.has(name)) {
        cursor.atKey(entry.key).error(`is the same field as ${name}, which is written too: keep one`);
      } else {
        written.set(name, entry);
      }
    }
    const value: Record<string, unknown> = {};
    for (const [name, field] of known) {
      const entry = written.get(name);
      if (entry === undefined || isNull(entry.value)) {
        if (typeof field === "object") cursor.at(name).error("is required");
        continue;
      }
      const child = (typeof field === "object" ? field.required : field)(cursor.at(name));
      if (child !== undefined) value[name] = child;
    }
    options.rules?.(value as Partial<T>, cursor);
    return cursor.report.errors === before ? value as T : undefined;
  });
}

/** A field written with nothing after its colon counts as absent, whatever its type. */
function jsonOf(known: Map<string, Schema<unknown> | Required<unknown>>, unread: Set<string>): JsonSchema {
  const properties: Record<string, JsonSchema> = {};
  const needed: string[] = [];
  for (const [name, field] of known) {
    if (typeof field === "object") needed.push(name);
    properties[name] = (typeof field === "object" ? field.required : field).json ?? {};
  }
  for (const name of unread) properties[name] = {};
  return { type: "object", properties, ...(needed.length > 0 && { required: needed }), additionalProperties: false };
}

/** An object that stands for a protobuf message: snake_case spellings of its fields are taken too. */
export function message<T extends object>(fields: Fields<T>, rules?: ObjectOptions<T>["rules"]): Schema<T> {
  return object<T>(fields, { rules, snakeCase: true });
}

function reportUnknown(cursor: Cursor, key: string, names: string[]): void {
  const meant = cursor.report.full ? undefined : nearest(key, names);
  const hint = meant !== undefined
    ? `did you mean \`${meant}\`?`
    : names.length > 0 && names.length <= 12
    ? `known here: ${names.join(", ")}`
    : "remove it";
  cursor.atKey(key).error(`unknown field; ${hint}`);
}

/** The first schema that takes the value. `expected` names them all: "a port number or a port name". */
export function oneOf<T>(expected: string, ...alternatives: Schema<T>[]): Schema<T> {
  return schema({ anyOf: alternatives.map((alternative) => alternative.json ?? {}) }, (cursor) => {
    for (const alternative of alternatives) {
      const trial = new Cursor(cursor.node, new Report(), cursor.path, cursor.position);
      const value = alternative(trial);
      if (value !== undefined) return value;
    }
    return wrong(cursor, `must be ${expected}, found ${describe(cursor.node)}`);
  });
}

/** Reports fields that exclude each other, where more than one is written. */
export function atMostOne(cursor: Cursor, ...names: string[]): void {
  const written = names.filter((name) => cursor.has(name));
  if (written.length < 2) return;
  cursor.atKey(written[1]).error(`cannot stand beside ${written[0]}: only one of ${names.join(", ")} may be set`);
}

export function exactlyOne(cursor: Cursor, ...names: string[]): void {
  atMostOne(cursor, ...names);
  if (!names.some((name) => cursor.has(name))) cursor.error(`one of ${names.join(", ")} is required`);
}
