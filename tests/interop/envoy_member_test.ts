/** The control plane drives a stock Envoy: it does what skiff's agent does under the same rules, and each serves the other. */
import { deepEqual, equal, match, ok } from "node:assert/strict";
import { type Case, type CaseRequest, cases, sharedRules } from "./cases.ts";
import { MixedMesh, type Side, sides } from "./mixed_mesh.ts";
import { stockEnvoy } from "../../scripts/stock_envoy.ts";
import { until } from "../../scripts/demo/harness/until.ts";

const envoy = await stockEnvoy();

/** Headers that differ from run to run, or that only say how long something took. */
const volatile =
  /^(date|content-length|x-envoy-upstream-service-time|x-request-id|x-forwarded-client-cert|x-case|accept.*|user-agent)$/;

interface Answer {
  status: number;
  headers: Record<string, string>;
  body: string;
  /** What the application says reached it; `null`: no application has answered. */
  seen: { app: string; method: string; path: string; host: string; headers: Record<string, string> } | null;
}

function rulesOf({ name, http, resources }: Case): string {
  if (resources !== undefined) return resources;
  if (http === undefined) return "";
  const indented = http.trim().replaceAll("\n", "\n  ");
  return `apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: { name: ${name} }
spec:
  hosts: [${name}.test]
  http:
  ${indented}
`;
}

async function ask(mesh: MixedMesh, side: Side, { name }: Case, request: CaseRequest): Promise<Answer> {
  const { path = "/", method = "GET", headers, body } = request;
  const response = await mesh.request(side, `http://${name}.test${path.replace("SIDE", side)}`, {
    method,
    headers: { ...headers, "x-case": name },
    body,
  });
  const text = await response.text();
  const stable = (all: Iterable<[string, string]>) =>
    Object.fromEntries([...all].filter(([header]) => !volatile.test(header)).sort());
  const seen = response.headers.get("content-type") === "application/json" ? JSON.parse(text) : null;
  return {
    status: response.status,
    headers: stable(response.headers),
    body: seen === null ? text : seen.body,
    seen: seen === null ? null : { ...seen, headers: stable(Object.entries(seen.headers)) },
  };
}

function judge(answer: Answer, { expect }: CaseRequest, side: Side): void {
  equal(answer.status, expect.status, `${side}: ${JSON.stringify(answer)}`);
  if (expect.app !== undefined) equal(answer.seen?.app, expect.app, side);
  if (expect.path !== undefined) equal(answer.seen?.path, expect.path, side);
  if (expect.host !== undefined) equal(answer.seen?.host, expect.host, side);
  if (expect.body !== undefined) equal(answer.body, expect.body, side);
  for (const [name, value] of Object.entries(expect.headers ?? {})) {
    equal(answer.headers[name] ?? null, value, `${side}: ${name}`);
  }
  for (const [name, value] of Object.entries(expect.seen ?? {})) {
    equal(answer.seen?.headers[name] ?? null, value, `${side}: ${name} at the application`);
  }
}

async function judgeShare(mesh: MixedMesh, each: Case, { app, of, least, most }: NonNullable<Case["share"]>) {
  for (const side of sides) {
    let count = 0;
    for (let i = 0; i < of; i++) {
      const { seen } = await ask(mesh, side, each, { expect: { status: 200 } });
      if (seen?.app === app) count++;
    }
    ok(count >= least * of && count <= most * of, `${side} sends ${count} of ${of} to ${app}`);
  }
}

Deno.test({
  name: "a stock Envoy is a member of the mesh",
  ignore: envoy === null,
  async fn(t) {
    const rules = [sharedRules, ...cases.map(rulesOf)].filter((yaml) => yaml !== "").join("\n---\n");
    await using mesh = await MixedMesh.start({ envoy: envoy!, rules });
    for (const each of cases) {
      await t.step(`${each.name}: both answer alike`, async () => {
        let made = 0;
        const flags: string[] = [];
        for (const request of each.requests) {
          for (let time = 0; time < (request.times ?? 1); time++) {
            const [agent, stock] = [await ask(mesh, "skiff", each, request), await ask(mesh, "envoy", each, request)];
            judge(agent, request, "skiff");
            judge(stock, request, "envoy");
            if (agent.seen !== null) agent.seen.path = agent.seen.path.replace("skiff", "envoy");
            deepEqual(agent, stock);
            made++;
            flags.push(`${request.expect.status} ${request.expect.flags ?? "-"}`);
          }
        }
        for (const side of sides) deepEqual(await mesh.logged(side, each.name, made), flags, `access log of ${side}`);
        if (each.arrives !== undefined) {
          const { app, path } = each.arrives;
          await until("what both have mirrored arrives", () => mesh.applications[app].asked.get(path) === sides.length);
        }
        if (each.share !== undefined) await judgeShare(mesh, each, each.share);
      });
    }
    await t.step("a host outside the mesh: both reach it", async () => {
      await using outside = Deno.serve(
        { hostname: "127.0.0.1", port: 0, onListen: () => {} },
        ({ headers }) => new Response(headers.get("host")),
      );
      const host = `127.0.0.1:${outside.addr.port}`;
      for (const side of sides) {
        const response = await mesh.request(side, `http://${host}/`, { headers: { "x-case": "outside" } });
        deepEqual([response.status, await response.text()], [200, host], side);
        deepEqual(await mesh.logged(side, "outside", 1), ["200 -"], side);
      }
    });
  },
});

Deno.test({
  name: "a stock Envoy that speaks state of the world: TCP, identities, STRICT and changed rules hold as with an agent",
  ignore: envoy === null,
  async fn() {
    await using mesh = await MixedMesh.start({ envoy: envoy!, rules: sharedRules, protocol: "state-of-the-world" });
    const reach = async (from: Side, to: Side) => {
      const response = await mesh.request(from, "http://reviews:9080/", { headers: { "x-to": to } });
      return await response.json();
    };
    for (const side of sides) {
      const listeners = await (await fetch(`${mesh.mesh.api}/api/v1/proxies/${side}/config/listeners`)).json();
      const range = side === "skiff" ? "127.66." : "127.67.";
      const { name } = listeners.find((each: { name: string }) =>
        each.name.startsWith(range) && /_9000$/.test(each.name)
      );
      using connection = await Deno.connect({ hostname: name.split("_")[0], port: 9000 });
      const reader = connection.readable.pipeThrough(new TextDecoderStream()).getReader();
      match((await reader.read()).value ?? "", /^(skiff|envoy)\n$/);
      await connection.write(new TextEncoder().encode("ping"));
      equal((await reader.read()).value, "ping", `TCP through ${side}`);
      await reader.cancel();
    }
    for (const [from, to] of [["skiff", "envoy"], ["envoy", "skiff"]] as const) {
      const { app, headers } = await reach(from, to);
      equal(app, to);
      match(headers["x-forwarded-client-cert"], new RegExp(`URI=spiffe://cluster.local/ns/default/sa/${from}$`));
    }
    for (const side of sides) {
      const plaintext = await fetch(`http://${mesh.address(side)}:9080/`);
      equal((await plaintext.json()).app, side, "while mutual TLS is no must");
    }
    mesh.mesh.apply(`${sharedRules}
---
apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: { name: default, namespace: default }
spec: { mtls: { mode: STRICT } }
`);
    for (const side of sides) {
      const url = `http://${mesh.address(side)}:9080/`;
      await until(`plaintext is refused by ${side} once mutual TLS is a must`, async () => {
        const refused = await fetch(url).then((response) => response.body?.cancel(), () => "refused");
        return refused === "refused";
      });
      for (const to of sides) equal((await reach(side, to)).app, to);
    }
    mesh.mesh.apply(`apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: { name: reviews }
spec: { hosts: [reviews], http: [ { directResponse: { status: 410 } } ] }
`);
    await until("the change has come to Envoy", async () => {
      return (await mesh.request("envoy", "http://reviews:9080/")).status === 410;
    });
  },
});
