import assert from "node:assert/strict";
import { formatProblem, parseResources } from "./parse.ts";

const rule = (spec: string) =>
  `apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: { name: a }\nspec:\n  hosts: [a]\n  ${spec}\n`;

Deno.test("fills in the namespace and remembers where each document begins", () => {
  const text = rule("http: [{ route: [{ destination: { host: b } }] }]");
  const { resources } = parseResources("a.yaml", text + "---\n" + text.replace("name: a", "name: b, namespace: c"));
  assert.deepEqual(resources.map(({ metadata, origin }) => [metadata, origin]), [
    [{ name: "a", namespace: "default", labels: {}, annotations: {} }, { file: "a.yaml", line: 1, column: 1 }],
    [{ name: "b", namespace: "c", labels: {}, annotations: {} }, { file: "a.yaml", line: 8, column: 1 }],
  ]);
});

Deno.test("gives the spec under camelCase names with durations as they were written", () => {
  const [resource] = parseResources(
    "a.yaml",
    rule(
      "http: [{ timeout: 1m30s, retries: { attempts: 3, per_try_timeout: 2s }, route: [{ destination: { host: b } }] }]",
    ),
  ).resources;
  assert.deepEqual(resource.spec, {
    hosts: ["a"],
    http: [{
      timeout: "1m30s",
      retries: { attempts: 3, perTryTimeout: "2s" },
      route: [{ destination: { host: "b" } }],
    }],
  });
});

Deno.test("a key without a value counts as not written", () => {
  const { resources, problems } = parseResources(
    "a.yaml",
    rule("gateways:\n  http: [{ match: ~, route: [{ destination: { host: b } }] }]"),
  );
  assert.deepEqual(problems, []);
  assert.deepEqual(resources[0].spec, { hosts: ["a"], http: [{ route: [{ destination: { host: "b" } }] }] });
});

Deno.test("prints problems as FILE:LINE:COLUMN: severity: KIND/NAMESPACE/NAME: path: message", () => {
  const { problems } = parseResources(
    "dir/a.yaml",
    rule("http: [{ timeot: 2s, route: [{ destination: { host: b } }] }]"),
  );
  assert.deepEqual(problems.map(formatProblem), [
    "dir/a.yaml:6:12: error: VirtualService/default/a: spec.http[0].timeot: unknown field; did you mean `timeout`?",
  ]);
});

Deno.test("a message never carries control characters of the file", () => {
  const { problems } = parseResources(
    "a\n.yaml",
    'apiVersion: v1\nkind: "Con\\u001b[31mfig"\nmetadata: { name: "\\x07" }\n',
  );
  // deno-lint-ignore no-control-regex -- their absence is what is tested
  for (const problem of problems) assert.doesNotMatch(formatProblem(problem), /[\x00-\x1f\x7f]/);
  assert.ok(problems.length > 0);
});

Deno.test("one wrong document does not take the others of its file along", () => {
  const good = rule("http: [{ route: [{ destination: { host: b } }] }]");
  const { resources, problems } = parseResources(
    "a.yaml",
    `${good}---\nkind: [\n---\n${good.replace("name: a", "name: b")}`,
  );
  assert.ok(problems.length > 0);
  assert.deepEqual(resources.map(({ metadata }) => metadata.name), ["a", "b"]);
});

Deno.test("takes the items of a List, of lists by kind, and of lists in lists", () => {
  const item = (name: string) => ({
    apiVersion: "networking.istio.io/v1",
    kind: "DestinationRule",
    metadata: { name },
    spec: { host: name },
  });
  const inner = { apiVersion: "networking.istio.io/v1", kind: "DestinationRuleList", items: [item("b")] };
  const list = { apiVersion: "v1", kind: "List", items: [item("a"), inner] };
  const { resources, problems } = parseResources("a.json", JSON.stringify(list));
  assert.deepEqual(problems, []);
  assert.deepEqual(resources.map(({ metadata }) => metadata.name), ["a", "b"]);
});

Deno.test("keeps kinds that are not in force, with a warning that names them", () => {
  const { resources, problems } = parseResources(
    "a.yaml",
    "apiVersion: networking.istio.io/v1alpha3\nkind: EnvoyFilter\nmetadata: { name: edge }\nspec: { priority: 1 }\n",
  );
  assert.deepEqual(resources.map(({ kind, spec }) => [kind, spec]), [["EnvoyFilter", { priority: 1 }]]);
  assert.deepEqual(problems.map(formatProblem), [
    "a.yaml:2:1: warning: EnvoyFilter/default/edge: kind: EnvoyFilter is accepted but not in force in this version",
  ]);
});

Deno.test("warns of every field that this version does not act on", () => {
  const { resources, problems } = parseResources(
    "a.yaml",
    rule(
      "tcp: [{ match: [{ source_subnet: 10.0.0.0/8 }], route: [{ destination: { host: b } }] }]",
    ),
  );
  assert.equal(resources.length, 1);
  assert.deepEqual(problems.map(({ severity, column, path }) => [severity, column, path]), [
    ["warning", 36, "spec.tcp[0].match[0].sourceSubnet"],
  ]);
});
