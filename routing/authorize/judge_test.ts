import { deepStrictEqual, strictEqual } from "node:assert/strict";
import type { Condition, RbacConfig } from "./condition.ts";
import type { ConnectionFacts, RequestFacts } from "./facts.ts";
import { Rules } from "./judge.ts";

const connection: ConnectionFacts = {
  principal: "spiffe://cluster.local/ns/default/sa/a",
  identity: { trustDomain: "cluster.local", namespace: "default", serviceAccount: "a" },
  peerAddress: "10.0.0.1",
  localAddress: "10.0.0.2",
  localPort: 9080,
  serverName: "",
};

function request(headers: Record<string, string[]> = {}, changes: Partial<RequestFacts> = {}): RequestFacts {
  return {
    headerValues: (name) => headers[name] ?? [],
    authority: "a.example",
    method: "GET",
    pathWithQuery: "/a?b",
    path: "/a",
    scheme: "http",
    remoteAddress: "10.0.0.1",
    ...changes,
  };
}

const any: Condition = { kind: "any" };
const never: Condition = { kind: "not", of: any };
const serviceAccount = (name: string): Condition => ({
  kind: "identity",
  pattern: { trustDomain: "*", namespace: "*", serviceAccount: name },
});
const method = (name: string): Condition => ({
  kind: "header",
  name: ":method",
  match: { kind: "exact", value: name, ignoreCase: false },
  invert: false,
});

function filter(action: "ALLOW" | "DENY" | "LOG", policies: Record<string, Condition>): RbacConfig {
  const list = Object.entries(policies).map(([name, condition]) => ({ name, condition }));
  return { rules: { action, policies: list }, shadow: null };
}

function judged(filters: RbacConfig[], facts = request()) {
  const rules = new Rules(filters).forConnection(connection);
  return { settled: rules.settled, verdict: rules.judge(facts) };
}

const allowed = { allowed: true, policy: "" };
const none = { allowed: false, policy: "none" };

Deno.test("what the connection settles is settled before a request is seen", () => {
  deepStrictEqual(judged([]).settled, allowed);
  deepStrictEqual(judged([filter("ALLOW", { p: serviceAccount("a") })]).settled, allowed);
  deepStrictEqual(judged([filter("ALLOW", { p: serviceAccount("b") })]).settled, none);
  deepStrictEqual(judged([filter("ALLOW", {})]).settled, none);
  deepStrictEqual(judged([filter("DENY", { p: serviceAccount("a") })]).settled, { allowed: false, policy: "p" });
  deepStrictEqual(judged([filter("DENY", { p: serviceAccount("b") })]).settled, allowed);
  const both: Condition = { kind: "all", of: [serviceAccount("b"), method("GET")] };
  deepStrictEqual(judged([filter("ALLOW", { p: both })]).settled, none, "the method is not asked");
  const either: Condition = { kind: "some", of: [serviceAccount("a"), method("POST")] };
  deepStrictEqual(judged([filter("ALLOW", { p: either })]).settled, allowed);
  strictEqual(judged([filter("ALLOW", { p: method("GET") })]).settled, null);
});

Deno.test("filters are asked in their order, policies in that of their names", () => {
  deepStrictEqual(judged([filter("DENY", { z: any, b: method("GET") })]).verdict, { allowed: false, policy: "b" });
  deepStrictEqual(judged([filter("DENY", { z: any, b: method("POST") })]).verdict, { allowed: false, policy: "z" });
  deepStrictEqual(
    judged([filter("DENY", { d: method("POST") }), filter("ALLOW", { p: method("POST") })]).verdict,
    none,
  );
  deepStrictEqual(judged([filter("ALLOW", { p: method("GET") }), filter("DENY", { d: any })]).verdict, {
    allowed: false,
    policy: "d",
  });
  deepStrictEqual(judged([filter("LOG", { p: any }), filter("ALLOW", { p: any })]).verdict, allowed);
  deepStrictEqual(judged([filter("ALLOW", { p: never, q: method("GET") })]).verdict, allowed);
});

Deno.test("rules on trial decide nothing and say what they would", () => {
  const trial: RbacConfig = { rules: null, shadow: { action: "DENY", policies: [{ name: "p", condition: any }] } };
  const rules = new Rules([trial]).forConnection(connection);
  deepStrictEqual(rules.judge(request()), allowed);
  deepStrictEqual(rules.judgeShadow(request()), { allowed: false, policy: "p" });
});

Deno.test("not turns the reading of repeated headers around", () => {
  const role: Condition = {
    kind: "header",
    name: "x-role",
    match: { kind: "exact", value: "admin", ignoreCase: false },
    invert: false,
  };
  const both = request({ "x-role": ["user", "admin"] });
  deepStrictEqual(judged([filter("ALLOW", { p: role })], both).verdict, none);
  deepStrictEqual(judged([filter("DENY", { p: role })], both).verdict, { allowed: false, policy: "p" });
  const other: Condition = { kind: "not", of: role };
  deepStrictEqual(judged([filter("ALLOW", { p: other })], both).verdict, none, "one of them is admin");
  deepStrictEqual(judged([filter("DENY", { p: other })], both).verdict, { allowed: false, policy: "p" }, "one is not");
});

Deno.test("a header that is not there meets no condition on its value", () => {
  const inverted: Condition = {
    kind: "header",
    name: "x-role",
    match: { kind: "exact", value: "admin", ignoreCase: false },
    invert: true,
  };
  deepStrictEqual(judged([filter("ALLOW", { p: inverted })]).verdict, none);
  deepStrictEqual(judged([filter("ALLOW", { p: inverted })], request({ "x-role": ["user"] })).verdict, allowed);
});
