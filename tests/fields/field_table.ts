/**
 * A test for each field of Istio's API: with the field a mesh compiles to something else than without it, or the field is
 * refused or warned of by name. Nothing is silently ignored.
 */
import { toJson } from "@bufbuild/protobuf";
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { parse, stringify } from "yaml";
import { Registry } from "../../controlplane/registry/registry.ts";
import { compileEndpoints } from "../../routing/compile/endpoints.ts";
import { compileProxy } from "../../routing/compile/proxy.ts";
import { node as workload } from "../../routing/compile/testing/mesh.ts";
import { defaultMeshSettings } from "../../routing/istio/mesh_config.ts";
import { hasErrors, parseResources } from "../../routing/istio/parse.ts";
import type { MeshSettings } from "../../routing/mesh.ts";
import { ClusterSchema } from "../../routing/xds/gen/envoy/config/cluster/v3/cluster_pb.ts";
import { ClusterLoadAssignmentSchema } from "../../routing/xds/gen/envoy/config/endpoint/v3/endpoint_pb.ts";
import { ListenerSchema } from "../../routing/xds/gen/envoy/config/listener/v3/listener_pb.ts";
import { RouteConfigurationSchema } from "../../routing/xds/gen/envoy/config/route/v3/route_pb.ts";
import type { WorkloadNode } from "../../routing/xds/node.ts";
import { xdsRegistry } from "../../routing/xds/registry.ts";

/** What must come of a field. Fragments are of the xDS of all proxies as JSON, keys in order, without spaces. */
export type Expectation =
  /** This fragment is there with the field and not without it. */
  | { appears: string }
  /** This fragment is there without the field and not with it. */
  | { vanishes: string }
  /** Validation warns at the field, in words that this matches. */
  | { warns: RegExp }
  /** Validation refuses the field, in words that this matches. */
  | { refuses: RegExp };

export interface Row {
  /** As in testdata/istio/fields.json. */
  field: string;
  /** A valid `spec` in YAML that has the field. */
  spec: string;
  expect: Expectation;
  /** More resources that the field needs, in YAML. */
  beside: string;
}

/** A row; a plain text is a fragment that must appear. */
export function row(field: string, spec: string, expect: string | Expectation, beside = ""): Row {
  return { field, spec, expect: typeof expect === "string" ? { appears: expect } : expect, beside };
}

export interface Table {
  kind: string;
  apiVersion: string;
  /** Namespace of the resource; `default` by default. */
  namespace?: string;
  rows: Row[];
}

const allFields = JSON.parse(
  readFileSync(new URL("../../testdata/istio/fields.json", import.meta.url), "utf8"),
) as { kinds: Record<string, string[]> };

/** Defines the tests of a kind: one for each row, and one that no field of the kind lacks its row. */
export function fieldTests({ kind, apiVersion, namespace = "default", rows }: Table): void {
  Deno.test(`every field of ${kind} has its row, and every row its field`, () => {
    const tested = [...new Set(rows.map(({ field }) => field))].sort();
    assert.deepEqual(tested, [...allFields.kinds[kind]].sort());
  });
  const resource = (spec: unknown) =>
    stringify({ apiVersion, kind, metadata: { name: "row", namespace }, spec }, { aliasDuplicateObjects: false });
  rows.forEach(({ field, spec, expect, beside }, index) => {
    const again = rows.slice(0, index).filter((row) => row.field === field).length;
    Deno.test(`${kind} ${field}${again === 0 ? "" : ` (${again + 1})`}`, () => {
      const full = parse(spec);
      const bare = withoutField(full, field);
      const { problems } = parseResources("row.yaml", resource(full));
      const atField = problems.filter(({ path }) => isAt(path, field)).map(({ message }) => message).join("\n");
      if ("refuses" in expect) return assert.match(atField, expect.refuses);
      assert.deepEqual(problems.filter(({ severity }) => severity === "error"), []);
      if ("warns" in expect) return assert.match(atField, expect.warns);
      assert.doesNotMatch(atField, /not in force/);
      const compiled = xdsOf(`${resource(full)}\n---\n${beside}`);
      // A field that must be written: what the resource does is compared with what there is without it.
      const stands = bare !== undefined && !hasErrors(parseResources("bare.yaml", resource(bare)).problems);
      const base = xdsOf(stands ? `${resource(bare)}\n---\n${beside}` : beside);
      const [here, there, fragment] = "appears" in expect
        ? [compiled, base, expect.appears]
        : [base, compiled, expect.vanishes];
      assert.ok(here.includes(fragment), `${fragment} is not where it should be:\n${difference(here, there)}`);
      assert.ok(
        !there.includes(fragment),
        `${fragment} is there ${"appears" in expect ? "without" : "with"} the field too`,
      );
    });
  });
}

/** Whether a problem's path is the field's or, for whole blocks that are not in force, above it. */
function isAt(path: string, field: string): boolean {
  const steps = (text: string) => text.replaceAll(/\[\d*\]|\["[^"]*"\]|\.\{\}/g, "").split(".");
  const [found, wanted] = [steps(path.replace(/^spec\.?/, "")), steps(field)];
  return found.every((step, index) => step === wanted[index]);
}

/** The spec without the field and without what is empty then; `undefined` where nothing is left. */
export function withoutField(spec: unknown, field: string): unknown {
  const copy = structuredClone(spec);
  const steps = field.replaceAll("[]", ".[]").split(".");
  return drop(copy, steps) ? undefined : copy;
}

/** Drops the place; says whether its holder is empty now. */
function drop(holder: unknown, [step, ...rest]: string[]): boolean {
  assert.ok(holder !== null && typeof holder === "object", `the spec has no ${step}`);
  const object = holder as Record<string, unknown>;
  const key = step === "[]" ? "0" : step === "{}" ? Object.keys(object)[0] : step;
  assert.ok(Object.hasOwn(object, key), `the spec has no ${step}`);
  if (rest.length > 0 && !drop(object[key], rest)) return false;
  if (Array.isArray(holder)) holder.splice(0, 1);
  else delete object[key];
  return Object.keys(object).length === 0;
}

/** Bookinfo, a database and a service outside, two callers in different namespaces, and an ingress gateway. */
const surroundings = `
apiVersion: v1
kind: Service
metadata: { name: reviews }
spec: { ports: [{ name: http, port: 9080 }], selector: { app: reviews } }
---
apiVersion: v1
kind: Service
metadata: { name: db }
spec: { ports: [{ name: tcp, port: 5432 }], selector: { app: db } }
---
apiVersion: networking.istio.io/v1
kind: WorkloadEntry
metadata: { name: db }
spec: { address: 10.0.0.9, labels: { app: db, version: v1 }, locality: east/a }
---
apiVersion: networking.istio.io/v1
kind: WorkloadEntry
metadata: { name: db-west }
spec: { address: 10.0.0.8, labels: { app: db, version: v2 }, locality: west/a }
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: { name: outside }
spec:
  hosts: [outside.example.com]
  ports: [{ number: 443, name: tls, protocol: TLS }, { number: 80, name: http, protocol: HTTP }]
  resolution: DNS
`;

function served(version: string, locality: string): WorkloadNode {
  return workload({
    agent: `vm-${version}`,
    workload: `reviews-${version}`,
    service: "reviews",
    serviceAccount: "bookinfo-reviews",
    labels: { app: "reviews", version },
    address: `10.0.0.${version.slice(1)}`,
    locality,
  });
}

const servers = [served("v1", "east/a/1"), served("v2", "west/a/1"), served("v3", "north/a/1")];

const proxies: WorkloadNode[] = [
  ...servers,
  workload({ locality: "east/a/1", vipRange: "127.64.0.0/16" }),
  workload({
    workload: "sleep",
    namespace: "other",
    service: "",
    serviceAccount: "sleep",
    labels: { app: "sleep" },
    locality: "west/a/1",
    vipRange: "127.64.0.0/16",
    ports: [],
  }),
  workload({
    type: "router",
    workload: "ingress",
    namespace: "istio-system",
    service: "",
    serviceAccount: "edge",
    labels: { istio: "ingressgateway" },
    httpProxy: null,
    ports: [],
  }),
];

/**
 * The xDS of every proxy, as JSON.
 *
 * @param yaml resources beside the surroundings
 */
export function xdsOf(yaml: string, settings: MeshSettings = defaultMeshSettings): string {
  const { resources, problems } = parseResources("mesh.yaml", `${surroundings}\n---\n${yaml}`);
  assert.deepEqual(problems.filter(({ severity }) => severity === "error"), []);
  const registry = new Registry(settings, () => servers.map((node) => ({ node, healthy: true })));
  registry.setResources(resources);
  const mesh = registry.mesh();
  const options = { registry: xdsRegistry };
  return JSON.stringify(
    proxies.map((node) => {
      const { listeners, routes, clusters, endpoints } = compileProxy(mesh, node);
      return {
        workload: node.workload,
        listeners: [...listeners.values()].map((message) => toJson(ListenerSchema, message, options)),
        routes: [...routes.values()].map((message) => toJson(RouteConfigurationSchema, message, options)),
        clusters: [...clusters.values()].map((message) => toJson(ClusterSchema, message, options)),
        endpoints: endpoints.map((name) =>
          toJson(ClusterLoadAssignmentSchema, compileEndpoints(mesh, name, node), options)
        ),
      };
    }),
    inOrder,
  );
}

function inOrder(_: string, value: unknown): unknown {
  if (value === null || typeof value !== "object" || Array.isArray(value)) return value;
  return Object.fromEntries(Object.entries(value).sort(([one], [other]) => one < other ? -1 : 1));
}

/** What of one text the other has not, a little around it: enough to write the right fragment from. */
function difference(here: string, there: string): string {
  let start = 0;
  while (start < here.length && here[start] === there[start]) start++;
  let end = 0;
  while (end < here.length - start && here.at(-1 - end) === there.at(-1 - end)) end++;
  return here.slice(Math.max(0, start - 200), Math.min(here.length - end + 100, start + 3000));
}
