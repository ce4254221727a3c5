import assert from "node:assert/strict";
import { atMostOne, exactlyOne, list, map, message, object, oneOf, required } from "./collections.ts";
import { Cursor, Report } from "./cursor.ts";
import { parseYaml } from "./parse.ts";
import { boolean, enumeration, integer, nonEmpty, number, refine, type Schema, string } from "./schema.ts";
import { editDistance, nearest } from "./suggest.ts";

function check<T>(schema: Schema<T>, text: string): { value: T | undefined; issues: string[] } {
  const report = new Report();
  const value = schema(new Cursor(parseYaml(text).documents[0], report));
  const issues = report.issues.map(({ position, path, message }) =>
    `${position.line}:${position.column} ${path}: ${message}`
  );
  return { value, issues };
}

interface Person {
  name: string;
  age?: number;
  nickNames?: string[];
}

const person = message<Person>({ name: required(string(nonEmpty)), age: integer(0, 150), nickNames: list(string()) });

Deno.test("gives typed values where nothing is wrong", () => {
  assert.deepEqual(check(person, "name: Ada\nage: 36\nnick_names: [a]\n"), {
    value: { name: "Ada", age: 36, nickNames: ["a"] },
    issues: [],
  });
});

Deno.test("reports all that is wrong at once, each at its own place", () => {
  assert.deepEqual(check(list(person), "- name: ''\n  age: old\n- nmae: b\n  nickNames: [1, a, {}]\n").issues, [
    '1:9 [0].name: must not be empty, found ""',
    '2:8 [0].age: must be an integer from 0 to 150, found "old"',
    "3:3 [1].nmae: unknown field; did you mean `name`?",
    "3:3 [1].name: is required",
    "4:15 [1].nickNames[0]: must be a string, found the number 1: put it in quotes",
    "4:21 [1].nickNames[2]: must be a string, found an empty map",
  ]);
});

Deno.test("refuses a field under both of its spellings", () => {
  const { value, issues } = check(person, "name: a\nnickNames: []\nnick_names: []\n");
  assert.equal(value, undefined);
  assert.deepEqual(issues, ["3:1 nick_names: is the same field as nickNames, which is written too: keep one"]);
});

Deno.test("snake_case is for messages only", () => {
  assert.equal(check(object<{ aB?: string }>({ aB: string() }), "a_b: x").issues.length, 1);
});

Deno.test("names of Object.prototype are unknown fields like others", () => {
  assert.equal(check(person, "name: a\nconstructor: 1\ntoString: 1\n").issues.length, 2);
  assert.deepEqual(check(map(string()), "constructor: a").value, { constructor: "a" });
});

Deno.test("reads YAML 1.1's booleans, and quoted words as strings", () => {
  for (const word of ["true", "yes", "On"]) assert.equal(check(boolean, word).value, true, word);
  for (const word of ["false", "no", "OFF"]) assert.equal(check(boolean, word).value, false, word);
  assert.match(check(boolean, '"yes"').issues[0], /must be true or false, found "yes"/);
  assert.match(check(string(), "true").issues[0], /found the boolean true: put it in quotes/);
});

Deno.test("numbers are finite and in range", () => {
  for (const text of [".inf", ".nan", "1e400", "101", "-1", '"5"']) {
    assert.equal(check(number(0, 100), text).issues.length, 1, text);
  }
  assert.equal(check(number(0, 100), "0.5").value, 0.5);
  assert.match(check(integer(1, 9), '"5"').issues[0], /remove the quotes/);
});

Deno.test("an enumeration tells what was meant", () => {
  assert.match(check(enumeration("STATIC", "DNS"), "STATC").issues[0], /did you mean STATIC\?/);
});

Deno.test("alternatives are tried without a trace of those that failed", () => {
  const schema = oneOf<number | string>("a port", integer(1, 65535), string(nonEmpty));
  assert.deepEqual(check(schema, "http"), { value: "http", issues: [] });
  assert.deepEqual(check(schema, "[]").issues, ["1:1 : must be a port, found an empty list"]);
});

Deno.test("rules between fields run although a field is wrong", () => {
  const schema = object<{ a?: number; b?: number }>({ a: integer(0, 1), b: integer(0, 1) }, {
    rules: (_, cursor) => atMostOne(cursor, "a", "b"),
  });
  assert.equal(check(schema, "a: 7\nb: 1\n").issues.length, 2);
  const one = object<{ a?: number }>({ a: integer(0, 1) }, { rules: (_, cursor) => exactlyOne(cursor, "a") });
  assert.deepEqual(check(one, "{}").issues, ["1:1 : one of a is required"]);
});

Deno.test("a refined schema gives nothing where its rule objects", () => {
  const even = refine(integer(0, 10), (value, cursor) => value % 2 && cursor.error("must be even"));
  assert.equal(check(even, "3").value, undefined);
  assert.equal(check(even, "4").value, 4);
});

Deno.test("the nearest word is within a third of its letters", () => {
  assert.equal(nearest("timeot", ["route", "timeout"]), "timeout");
  assert.equal(nearest("Timeout", ["timeout"]), "timeout");
  assert.equal(nearest("zzz", ["route", "timeout"]), undefined);
  assert.equal(editDistance("kitten", "sitting"), 3);
  assert.equal(editDistance("ab", "ba"), 1);
});
