import assert from "node:assert/strict";
import { parseMeshConfig } from "../../istio/mesh_config.ts";
import { ListenerSchema } from "../../xds/gen/envoy/config/listener/v3/listener_pb.ts";
import type { WorkloadNode } from "../../xds/node.ts";
import { compileProxy } from "../proxy.ts";
import { bookinfo, json, mesh, node } from "../testing/mesh.ts";

const telemetry = (spec: string, metadata = "name: default") => `
---
apiVersion: telemetry.istio.io/v1
kind: Telemetry
metadata: { ${metadata} }
spec: ${spec}
`;
const root = "name: default, namespace: istio-system";

function compile(rules: string, meshYaml = "", options: Partial<WorkloadNode> = {}) {
  const { settings, problems } = parseMeshConfig("mesh.yaml", meshYaml);
  assert.deepEqual(problems, []);
  return compileProxy(mesh(bookinfo(), rules, settings), node(options));
}

/** Paths of the access logs outbound and inbound, each with its filter. */
function logs(rules: string, meshYaml = "", options: Partial<WorkloadNode> = {}): string[][] {
  const { listeners } = compile(rules, meshYaml, options);
  return ["http_proxy|127.0.0.1:15002", "virtualInbound"].map((name) => {
    const [chain] = json(ListenerSchema, listeners.get(name)).filterChains;
    // deno-lint-ignore no-explicit-any -- JSON
    return (chain.filters.at(-1).typedConfig.accessLog ?? []).map((log: any) => {
      const filter = log.filter?.extensionFilter.typedConfig.expression;
      return log.typedConfig.path + (filter === undefined ? "" : ` ${filter}`);
    });
  });
}

const providers = `
accessLogFile: /mesh.log
extensionProviders:
  - { name: mine, envoyFileAccessLog: { path: /mine.log, logFormat: { labels: { code: "%RESPONSE_CODE%" } } } }
  - { name: other, envoyFileAccessLog: { path: /other.log } }
`;

Deno.test("without a Telemetry the mesh's file is the access log; one may switch it off, or on where there is none", () => {
  assert.deepEqual(logs("", providers), [["/mesh.log"], ["/mesh.log"]]);
  assert.deepEqual(logs(telemetry("{ accessLogging: [{ disabled: true }] }"), providers), [[], []]);
  assert.deepEqual(logs(telemetry("{ accessLogging: [{ providers: [{ name: envoy }] }] }")), [
    ["/dev/stdout"],
    ["/dev/stdout"],
  ]);
});

Deno.test("an inner level's providers take the place of the outer ones; what names none speaks of those there are", () => {
  const outer = telemetry("{ accessLogging: [{ providers: [{ name: mine }] }] }", root);
  assert.deepEqual(logs(outer, providers), [["/mine.log"], ["/mine.log"]]);
  const own = telemetry("{ accessLogging: [{ providers: [{ name: other }] }] }");
  assert.deepEqual(logs(outer + own, providers), [["/other.log"], ["/other.log"]]);
  const selecting = telemetry(
    `{ selector: { matchLabels: { app: productpage } }, accessLogging: [{ filter: { expression: "response.code >= 400" } }] }`,
    "name: productpage",
  );
  const filtered = "/other.log response.code >= 400";
  assert.deepEqual(logs(outer + own + selecting, providers), [[filtered], [filtered]]);
  assert.deepEqual(logs(outer + own + selecting, providers, { labels: {} }), [["/other.log"], ["/other.log"]]);
});

Deno.test("a mode is for one side", () => {
  const rule = telemetry("{ accessLogging: [{ match: { mode: SERVER }, disabled: true }] }");
  assert.deepEqual(logs(rule, providers), [["/mesh.log"], []]);
});

Deno.test("default providers hold where no Telemetry says otherwise", () => {
  const meshYaml = `${providers}defaultProviders: { accessLogging: [mine] }`;
  assert.deepEqual(logs("", meshYaml), [["/mine.log"], ["/mine.log"]]);
});

Deno.test("a provider that there is not is warned of", () => {
  const { warnings } = compile(telemetry("{ accessLogging: [{ providers: [{ name: gone }] }] }"), providers);
  assert.deepEqual(warnings.map(({ kind, field }) => `${kind} ${field}`), [
    "Telemetry accessLogging[0].providers[0].name",
  ]);
});

/** What the listeners outbound and inbound tell of metrics. */
function metrics(rules: string): unknown[] {
  const { listeners } = compile(rules);
  return ["http_proxy|127.0.0.1:15002", "virtualInbound"].map((name) =>
    json(ListenerSchema, listeners.get(name)).metadata?.filterMetadata["istio.stats"]?.metrics
  );
}

Deno.test("metrics: inner levels have the last word on each metric and tag, each side by itself", () => {
  const outer = telemetry(
    `{ metrics: [{ overrides: [{ match: { metric: REQUEST_SIZE }, disabled: true },
      { match: { metric: REQUEST_COUNT, mode: CLIENT }, tagOverrides: { region: { value: "'eu'" }, source_app: { operation: REMOVE } } }] }] }`,
    root,
  );
  const count = { name: "requests_total", tags_to_remove: ["source_app"], dimensions: { region: "'eu'" } };
  assert.deepEqual(metrics(outer), [[{ name: "request_bytes", drop: true }, count], [{
    name: "request_bytes",
    drop: true,
  }]]);
  const own = telemetry(`{ metrics: [{ overrides: [{ match: { metric: REQUEST_SIZE }, disabled: false }] }] }`);
  assert.deepEqual(metrics(outer + own), [[count], undefined]);
  assert.deepEqual(metrics(""), [undefined, undefined]);
});

Deno.test("metrics of providers other than prometheus are warned of and change nothing", () => {
  const rule = telemetry("{ metrics: [{ providers: [{ name: stackdriver }], overrides: [{ disabled: true }] }] }");
  assert.deepEqual(metrics(rule), [undefined, undefined]);
  assert.match(compile(rule).warnings[0].message, /prometheus/);
});

Deno.test("proxies for which the same holds share their listeners' filters", () => {
  const rule = telemetry("{ metrics: [{ overrides: [{ disabled: true }] }] }");
  const one = mesh(bookinfo(), rule);
  const listener = () => compileProxy(one, node({ vipRange: "127.64.0.0/16" })).listeners;
  const name = [...listener().keys()].find((each) => each.startsWith("127.64."))!;
  assert.equal(listener().get(name), listener().get(name));
});
