import assert from "node:assert/strict";
import type { NamedMatcher, RouteMatchConfig, StringMatcher } from "../config/model.ts";
import { ascii } from "../decode/characters.ts";
import { compileMatcher, compileRouteMatch } from "./matchers.ts";
import { request } from "./testdata/request.ts";

function matches(kind: StringMatcher["kind"], value: string, text: string, ignoreCase = false): boolean {
  const bytes = ascii(`<<${text}>>`);
  return compileMatcher({ kind, value, ignoreCase })(bytes, 2, bytes.length - 2);
}

const strings: [kind: StringMatcher["kind"], value: string, yes: string[], no: string[]][] = [
  ["exact", "abc", ["abc"], ["", "ab", "abcd", "ABC", "abd"]],
  ["exact", "", [""], ["a"]],
  ["prefix", "abc", ["abc", "abcd"], ["ab", "xabc", "ABC"]],
  ["prefix", "", ["", "a"], []],
  ["suffix", "abc", ["abc", "xabc"], ["bc", "abcx", ">>"]],
  ["contains", "bc", ["bc", "abcd", "xxbc"], ["b", "cb", "", "BC"]],
  ["contains", "", ["", "a"], []],
  ["present", "", ["", "a"], []],
  ["regex", "a.c", ["abc"], ["xabc", "abcx", "ac", ""]],
  ["regex", "a|bc", ["a", "bc"], ["ac", "abc"]],
  ["regex", ".*jason.*", ["jason", "x jason y"], ["jaso"]],
];

for (const [kind, value, yes, no] of strings) {
  Deno.test(`${kind} ${JSON.stringify(value)}`, () => {
    for (const text of yes) assert.ok(matches(kind, value, text), text);
    for (const text of no) assert.ok(!matches(kind, value, text), text);
  });
}

Deno.test("ignoring case folds ASCII letters and nothing else", () => {
  for (const kind of ["exact", "prefix", "suffix", "contains"] as const) {
    assert.ok(matches(kind, "aBc", "AbC", true), kind);
    assert.ok(!matches(kind, "[@`", "{@`", true), kind);
    assert.ok(!matches(kind, "k", "\u212a", true), kind);
  }
});

Deno.test("a pattern that would backtrack for ever takes linear time", () => {
  assert.ok(!matches("regex", "(a*)*b", "a".repeat(5000)));
});

function hit(match: Partial<RouteMatchConfig>, line: string, ...headers: string[]): boolean {
  const config: RouteMatchConfig = {
    path: { kind: "prefix", value: "/", ignoreCase: false },
    headers: [],
    queryParameters: [],
    fraction: null,
    ...match,
  };
  const head = request(line, ...headers);
  return compileRouteMatch(config).every((matcher) => matcher(head));
}

const path = (kind: RouteMatchConfig["path"]["kind"], value: string, ignoreCase = false) => ({
  path: { kind, value, ignoreCase },
});

const paths: [match: ReturnType<typeof path>, yes: string[], no: string[]][] = [
  [path("prefix", "/"), ["/", "/a", "/?x"], ["*"]],
  [path("prefix", "/a"), ["/a", "/ab", "/a/b", "/a?/b"], ["/", "/A", "/b/a"]],
  [path("prefix", "/A", true), ["/a", "/AB"], ["/b"]],
  [path("exact", "/a"), ["/a", "/a?b=c"], ["/a/", "/ab", "/A"]],
  [path("exact", "/a", true), ["/A"], ["/b"]],
  [path("pathSeparatedPrefix", "/a"), ["/a", "/a/", "/a/b", "/a?b"], ["/ab", "/"]],
  [path("regex", "/a/[0-9]+"), ["/a/1", "/a/12?x"], ["/a/", "/a/1/", "/b/a/1"]],
  [path("exact", "/a?b"), [], ["/a?b"]],
];

for (const [match, yes, no] of paths) {
  Deno.test(`path ${match.path.kind} ${match.path.value}${match.path.ignoreCase ? " in any case" : ""}`, () => {
    for (const target of yes) assert.ok(hit(match, `GET ${target}`), target);
    for (const target of no) assert.ok(!hit(match, `GET ${target}`), target);
  });
}

const named = (name: string, kind: StringMatcher["kind"], value: string, invert = false): NamedMatcher => ({
  name,
  matcher: { kind, value, ignoreCase: false },
  invert,
});

Deno.test("headers are matched by name in any case and by value", () => {
  const headers = [named("end-user", "exact", "jason")];
  assert.ok(hit({ headers }, "GET /", "End-User: jason"));
  assert.ok(hit({ headers }, "GET /", "END-USER:\t jason "));
  assert.ok(!hit({ headers }, "GET /", "end-user: Jason"));
  assert.ok(!hit({ headers }, "GET /", "end-users: jason"));
  assert.ok(!hit({ headers }, "GET /"));
});

Deno.test("all conditions must hold", () => {
  const headers = [named("x", "present", ""), named("y", "prefix", "1")];
  assert.ok(hit({ headers }, "GET /", "X: a", "Y: 12"));
  assert.ok(!hit({ headers }, "GET /", "X: a"));
  assert.ok(!hit({ headers, ...path("exact", "/b") }, "GET /", "X: a", "Y: 12"));
});

Deno.test("an inverted condition holds where the header is absent or different", () => {
  const headers = [named("x", "exact", "1", true)];
  assert.ok(hit({ headers }, "GET /"));
  assert.ok(hit({ headers }, "GET /", "X: 2"));
  assert.ok(!hit({ headers }, "GET /", "X: 1"));
  assert.ok(hit({ headers: [named("x", "present", "", true)] }, "GET /"));
  assert.ok(!hit({ headers: [named("x", "present", "", true)] }, "GET /", "X:"));
});

Deno.test("of a repeated header one value has to meet the condition", () => {
  assert.ok(hit({ headers: [named("x", "exact", "2")] }, "GET /", "X: 1", "Y: 3", "x: 2"));
  assert.ok(!hit({ headers: [named("x", "exact", "1,2")] }, "GET /", "X: 1", "X: 2"));
  assert.ok(!hit({ headers: [named("x", "exact", "2", true)] }, "GET /", "X: 1", "X: 2"));
});

Deno.test("method, authority, path and scheme are matched like headers", () => {
  assert.ok(hit({ headers: [named(":method", "exact", "POST")] }, "POST /"));
  assert.ok(!hit({ headers: [named(":method", "exact", "POST")] }, "GET /"));
  assert.ok(hit({ headers: [named(":authority", "suffix", ".example")] }, "GET /", "Host: A.EXAMPLE"));
  assert.ok(
    hit({ headers: [named("host", "exact", "a.example:80")] }, "GET http://a.example:80/", "Host: a.example:80"),
  );
  assert.ok(hit({ headers: [named(":path", "exact", "/a?b")] }, "GET /a?b"));
  assert.ok(hit({ headers: [named(":scheme", "exact", "http")] }, "GET /"));
  assert.ok(!hit({ headers: [named(":scheme", "exact", "https")] }, "GET /"));
});

Deno.test("query parameters are matched by name and value", () => {
  const exact = { queryParameters: [named("v", "exact", "1")] };
  for (const target of ["/?v=1", "/?a=b&v=1", "/?v=1&v=2", "/?&&v=1&"]) assert.ok(hit(exact, `GET ${target}`), target);
  for (const target of ["/", "/v=1", "/?", "/?v", "/?v=12", "/?xv=1", "/?V=1", "/?a=v=1", "/?v=2&v=1"]) {
    assert.ok(!hit(exact, `GET ${target}`), target);
  }
  const present = { queryParameters: [named("v", "present", "")] };
  for (const target of ["/?v", "/?v=", "/?a&v"]) assert.ok(hit(present, `GET ${target}`), target);
  assert.ok(!hit(present, "GET /?w"));
  assert.ok(hit({ queryParameters: [named("v", "exact", "1", true)] }, "GET /"));
});
