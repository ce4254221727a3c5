import { deepEqual, equal, match } from "node:assert/strict";
import { Hono } from "hono";
import { readToken } from "../../ca/admission/join_token.ts";
import type { ControlPlane } from "../control_plane.ts";
import { type ApiBindings, localCallsOnly } from "./local_calls.ts";
import { TestMesh } from "../testing/test_mesh.ts";

const rule = `apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: { name: reviews, namespace: shop }
spec: { host: reviews }
`;

function check(sentence: string, run: (call: Call, mesh: TestMesh, controlPlane: ControlPlane) => Promise<void>): void {
  Deno.test(sentence, () =>
    TestMesh.with(async (mesh) => {
      await mesh.write("rule.yaml", rule);
      const controlPlane = await mesh.start();
      const call: Call = async (path, init) => {
        const response = await fetch(`http://127.0.0.1:${controlPlane.httpAddress.port}${path}`, init);
        const text = await response.text();
        const json = response.headers.get("content-type")?.startsWith("application/json");
        return { status: response.status, text, json: json ? JSON.parse(text) : undefined };
      };
      await run(call, mesh, controlPlane);
    }));
}

type Call = (path: string, init?: RequestInit) => Promise<{
  status: number;
  text: string;
  // deno-lint-ignore no-explicit-any -- the JSON of an answer, which the test looks into
  json: any;
}>;

const post = (body: unknown, headers: Record<string, string> = {}): RequestInit => ({
  method: "POST",
  body: JSON.stringify(body),
  headers: { "content-type": "application/json", ...headers },
});

check("tells that it lives, that it is ready, and its metrics", async (call) => {
  equal((await call("/healthz")).status, 200);
  equal((await call("/readyz")).status, 200);
  const metrics = await call("/metrics");
  match(metrics.text, /^# TYPE pilot_proxy_convergence_time histogram$/m);
  match(metrics.text, /^pilot_xds 0$/m);
});

check("shows resources by kind, namespace and name, with their version", async (call) => {
  const one = await call("/api/v1/namespaces/shop/destinationrules/reviews");
  equal(one.json.kind, "DestinationRule");
  deepEqual(one.json.spec, { host: "reviews" });
  match(one.json.metadata.resourceVersion, /^[0-9]+$/);
  equal((await call("/api/v1/namespaces/shop/DestinationRule")).json.items.length, 1);
  equal((await call("/api/v1/namespaces/other/destinationrules")).json.items.length, 0);
  equal((await call("/api/v1/destinationrules")).json.kind, "DestinationRuleList");
  equal((await call("/api/v1/serviceentries")).json.items.length, 0);
  equal((await call("/api/v1/namespaces/shop/destinationrules/other")).status, 404);
  equal((await call("/api/v1/pigs")).status, 404);
});

check("refuses to change resources, with a sentence", async (call) => {
  for (const method of ["PUT", "DELETE"]) {
    const { status, json } = await call("/api/v1/namespaces/shop/destinationrules/reviews", { method });
    equal(status, 405);
    match(json.error, /read-only/);
  }
});

check("makes join tokens that say where to join", async (call, _, controlPlane) => {
  const { status, json } = await call("/api/v1/tokens", post({ identities: ["shop/reviews"], ttl: 60_000 }));
  equal(status, 201);
  const token = readToken(json.token);
  deepEqual(token.identities, ["shop/reviews"]);
  deepEqual(token.joinAddresses[0], `127.0.0.1:${controlPlane.joinAddress.port}`);
  deepEqual(token.xdsAddresses[1], `localhost:${controlPlane.xdsAddress.port}`);
  for (const body of [null, {}, { identities: ["bad"] }, { identities: [] }, { identities: ["a/b"], ttl: -1 }]) {
    equal((await call("/api/v1/tokens", post(body))).status, 400, JSON.stringify(body));
  }
});

check("makes no token for a page in a browser", async (call) => {
  const body = { identities: ["shop/reviews"] };
  equal((await call("/api/v1/tokens", post(body, { origin: "http://evil.example" }))).status, 403);
  equal((await call("/api/v1/tokens", { ...post(body), headers: { "content-type": "text/plain" } })).status, 415);
});

Deno.test("changes are for callers on this machine who call it by its name", async () => {
  const app = new Hono<{ Bindings: ApiBindings }>();
  app.post("/", localCallsOnly, (c) => c.text("done"));
  const from = async (hostname: string, url = "http://127.0.0.1:15014/") => {
    const remoteAddr: Deno.NetAddr = { transport: "tcp", hostname, port: 1 };
    return (await app.request(url, { method: "POST" }, { remoteAddr })).status;
  };
  for (const hostname of ["127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1"]) equal(await from(hostname), 200);
  for (const hostname of ["192.0.2.1", "2001:db8::1", "::ffff:192.0.2.1", ""]) equal(await from(hostname), 403);
  equal(await from("127.0.0.1", "http://[::1]:15014/"), 200);
  equal(await from("127.0.0.1", "http://localhost/"), 200);
  // Somebody's name that resolves to this machine: the page that calls it is theirs.
  equal(await from("127.0.0.1", "http://evil.example/"), 403);
});

check("lists what is wrong with the configuration", async (call, mesh) => {
  await mesh.write("rule.yaml", rule + "---\n" + rule);
  for (let attempt = 0;; attempt++) {
    const { json } = await call("/api/v1/problems");
    if (json.length === 0 && attempt < 1000) {
      await new Promise((resolve) => setTimeout(resolve, 10));
      continue;
    }
    equal(json[0].severity, "error");
    equal(json[0].name, "reviews");
    match(json[0].file, /rule\.yaml$/);
    break;
  }
});
