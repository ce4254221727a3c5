import assert from "node:assert/strict";
import { type Facts, holds } from "./evaluate.ts";
import { parseExpression } from "./parse.ts";

const values: Record<string, string | number | boolean> = {
  "response.code": 503,
  "response.flags": 2,
  "request.method": "GET",
  "request.duration": 1500,
  "connection.mtls": true,
};
const facts: Facts = {
  attribute: (name) => values[name],
  header: (of, name) => of === "request" && name === "x-user" ? "jason" : undefined,
};

function is(text: string): boolean {
  const expression = parseExpression(text);
  if ("unreadable" in expression) throw new Error(expression.unreadable);
  return holds(expression, facts);
}

Deno.test("comparisons, joined and negated", () => {
  assert.equal(is("response.code >= 400"), true);
  assert.equal(is("response.code >= 400 && response.code < 500"), false);
  assert.equal(is("response.code < 400 || request.method == 'GET'"), true);
  assert.equal(is(`!(response.code == 503) || (connection.mtls && response.flags != 0)`), true);
  assert.equal(is("!connection.mtls"), false);
  assert.equal(is(`request.duration > duration("1s")`), true);
  assert.equal(is(`request.duration > duration("1.6s")`), false);
});

Deno.test("headers: their values, their presence, their beginnings", () => {
  assert.equal(is(`request.headers['X-User'] == "jason"`), true);
  assert.equal(is(`"x-user" in request.headers && !('x-user' in response.headers)`), true);
  assert.equal(is(`request.headers["x-user"].startsWith("ja")`), true);
  assert.equal(is(`request.headers["x-user"].endsWith("ja")`), false);
  assert.equal(is(`request.headers["x-user"].contains("aso")`), true);
});

Deno.test("what is not there is an error, which the other side of && and || may outweigh", () => {
  assert.equal(is("request.host == 'a'"), false);
  assert.equal(is("request.host != 'a'"), false);
  assert.equal(is("!(request.host == 'a')"), false);
  assert.equal(is("request.host == 'a' || response.code == 503"), true);
  assert.equal(is("!(request.host == 'a' && response.code == 200)"), true);
  assert.equal(is("request.method > 3"), false);
});

Deno.test("what is not of this part of CEL is told", () => {
  const unreadable = [
    "",
    "response.code >=",
    "response.codes == 1",
    "size(request.path) > 3",
    "response.code == 200 ? true : false",
    "request.path.matches('a')",
    "(response.code == 200",
    "response.code == 'it\\'s'",
    `${"(".repeat(40)}connection.mtls${")".repeat(40)}`,
    "connection.mtls ".repeat(200),
    "1 in request.headers",
    "'a' in request.path",
  ];
  for (const text of unreadable) assert.ok("unreadable" in parseExpression(text), text);
});
