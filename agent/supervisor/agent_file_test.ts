import assert from "node:assert/strict";
import fc from "fast-check";
import { formatProblem } from "../../routing/istio/problem.ts";
import { defaultAgentPorts, parseAgentFile } from "./agent_file.ts";

function agentYaml(workloads: string, rest = ""): string {
  return `apiVersion: skiff.dev/v1
kind: Agent
metadata: { name: vm-1 }
spec:
  controlPlane: 127.0.0.1:15012
${rest}${workloads}`;
}

const reviews = "service: reviews, ports: [{ port: 9080 }]";
const parse = (text: string) => parseAgentFile("agent.yaml", text);
const problemsOf = (text: string) => parse(text).problems.map(formatProblem);

Deno.test("fills in every default", () => {
  assert.deepEqual(parse(agentYaml(`  workloads: [{ ${reviews} }]\n`)), {
    agent: {
      name: "vm-1",
      controlPlane: { host: "127.0.0.1", port: 15012 },
      address: "",
      localAddress: "127.0.0.1",
      vipRange: "127.64.0.0/16",
      ports: defaultAgentPorts,
      locality: "",
      workloads: [{
        name: "reviews",
        service: "reviews",
        namespace: "default",
        serviceAccount: "default",
        labels: {},
        ports: [{ name: "", port: 9080, protocol: "", target: { address: "127.0.0.1", port: 9080 } }],
        probe: null,
        localAddress: "",
      }],
      gateway: null,
    },
    problems: [],
  });
});

Deno.test("reads every field that is in force", () => {
  const { agent, problems } = parse(`apiVersion: skiff.dev/v1
kind: Agent
metadata: { name: vm-1 }
spec:
  controlPlane: control.example.com
  address: 127.0.1.1
  localAddress: 127.0.1.2
  vipRange: 127.64.0.0/16
  ports: { inbound: 25006, admin: 25000 }
  locality: eu/eu-1/a
  capture: none
  gateway: { labels: { app: edge }, serviceAccount: edge }
  workloads:
    - service: reviews
      namespace: shop
      serviceAccount: bookinfo-reviews
      labels: { app: reviews, version: v1 }
      ports:
        - { name: http, port: 9080, protocol: HTTP, target: "127.0.0.1:9081" }
        - { name: admin, port: 9081, target: "unix:/run/reviews.sock" }
        - { name: six, port: 9082, target: "[::1]:9082" }
        - { name: short, port: 9083, target: 127.0.0.9 }
      probe: { httpGet: { path: /health, port: 9081, httpHeaders: [{ name: x-probe, value: "1" }] }, periodSeconds: 5, timeoutSeconds: 0 }
      localAddress: 127.0.1.11
    - serviceAccount: batch
`);
  assert.deepEqual(problems, []);
  assert.deepEqual(agent, {
    name: "vm-1",
    controlPlane: { host: "control.example.com", port: 15012 },
    address: "127.0.1.1",
    localAddress: "127.0.1.2",
    vipRange: "127.64.0.0/16",
    ports: { ...defaultAgentPorts, inbound: 25006, admin: 25000 },
    locality: "eu/eu-1/a",
    workloads: [
      {
        name: "reviews",
        service: "reviews",
        namespace: "shop",
        serviceAccount: "bookinfo-reviews",
        labels: { app: "reviews", version: "v1" },
        ports: [
          { name: "http", port: 9080, protocol: "HTTP", target: { address: "127.0.0.1", port: 9081 } },
          { name: "admin", port: 9081, protocol: "", target: { address: "unix:/run/reviews.sock", port: 0 } },
          { name: "six", port: 9082, protocol: "", target: { address: "::1", port: 9082 } },
          { name: "short", port: 9083, protocol: "", target: { address: "127.0.0.9", port: 9083 } },
        ],
        probe: {
          initialDelaySeconds: 0,
          timeoutSeconds: 1,
          periodSeconds: 5,
          successThreshold: 1,
          failureThreshold: 3,
          httpGet: {
            path: "/health",
            port: 9081,
            host: "127.0.0.1",
            scheme: "HTTP",
            httpHeaders: [{ name: "x-probe", value: "1" }],
          },
        },
        localAddress: "127.0.1.11",
      },
      {
        name: "batch",
        service: "",
        namespace: "default",
        serviceAccount: "batch",
        labels: {},
        ports: [],
        probe: null,
        localAddress: "",
      },
    ],
    gateway: { name: "edge", labels: { app: "edge" }, namespace: "shop", serviceAccount: "edge" },
  });
});

Deno.test("names workloads by service, with version and namespace where several share it", () => {
  const { agent } = parse(agentYaml(`  workloads:
    - { ${reviews}, labels: { version: v1 } }
    - { ${reviews}, labels: { version: v2 } }
    - { ${reviews}, labels: { version: v2 }, namespace: shop }
    - { service: ratings, labels: { version: v1 }, ports: [{ port: 9080 }] }
`));
  assert.deepEqual(agent?.workloads.map(({ name }) => name), [
    "reviews-v1",
    "reviews-v2-default",
    "reviews-v2-shop",
    "ratings",
  ]);
});

Deno.test("refuses a workload that is here twice", () => {
  assert.deepEqual(problemsOf(agentYaml(`  workloads:\n    - { ${reviews} }\n    - { ${reviews} }\n`)), [
    'agent.yaml:8:7: error: Agent/vm-1: spec.workloads[1]: "reviews-default" is here twice: the same service, version and namespace; give one another version',
  ]);
});

Deno.test("refuses an agent without workloads", () => {
  assert.match(problemsOf(agentYaml("  workloads: []\n"))[0], /spec.workloads: must have at least one workload/);
  assert.match(problemsOf(agentYaml(""))[0], /spec.workloads: is required/);
  const groups = problemsOf(agentYaml("  workloads: [{ workloadGroup: a, target: 127.0.0.1 }]\n"));
  assert.match(groups[1], /warning: .*workloads\[0\]\.workloadGroup: accepted but not in force/);
  assert.match(groups[0], /error: .*spec.workloads: must have at least one workload/);
});

Deno.test("refuses local addresses by which callers could not be told apart", () => {
  const two = (one: string, other: string) =>
    problemsOf(agentYaml(`  workloads:
    - { ${reviews}, localAddress: ${one} }
    - { service: ratings, ports: [{ port: 9080 }], localAddress: ${other} }
`));
  assert.deepEqual(two("127.0.1.1", "127.0.1.2"), []);
  assert.match(two("127.0.1.1", "127.0.1.1")[0], /8:66: error: .*127\.0\.1\.1 is "reviews"'s already/);
  assert.match(two("127.0.0.1", "127.0.1.2")[0], /127\.0\.0\.1 is the agent's own/);
  assert.deepEqual(problemsOf(agentYaml(`  workloads: [{ ${reviews}, localAddress: 127.0.0.1 }]\n`)), []);
});

Deno.test("refuses ports that clash", () => {
  const withPorts = (ports: string) => problemsOf(agentYaml(`  workloads: [{ service: a, ports: [${ports}] }]\n`));
  assert.match(
    withPorts("{ port: 80 }, { name: b, port: 81 }")[0],
    /ports\[0\]\.name: is required where there are several/,
  );
  assert.match(withPorts("{ name: a, port: 80 }, { name: a, port: 81 }")[0], /the port name "a" is used twice/);
  assert.match(withPorts("{ name: a, port: 80 }, { name: b, port: 80 }")[0], /the port 80 is used twice/);
  assert.match(withPorts("{ port: 15006 }")[0], /15006 is the agent's inbound port/);
  assert.match(withPorts("{ port: 80, target: '127.0.0.1:15000' }")[0], /this agent's own admin port/);
  const own = problemsOf(agentYaml(`  workloads: [{ ${reviews} }]\n`, "  ports: { admin: 15020 }\n"));
  assert.match(own[0], /6:19: error: .*spec\.ports\.admin: 15020 is the port of metrics too/);
});

Deno.test("a gateway needs no workloads, and what it does not say is as with the first one", () => {
  const gateway = (workloads: string, fields = "") =>
    parse(agentYaml(workloads, `  gateway: { labels: { istio: ingressgateway }${fields} }\n`)).agent?.gateway;
  const alone = {
    name: "ingressgateway",
    labels: { istio: "ingressgateway" },
    namespace: "default",
    serviceAccount: "default",
  };
  assert.deepEqual(gateway(""), alone);
  const workload =
    "  workloads: [{ service: reviews, namespace: shop, serviceAccount: sa, ports: [{ port: 9080 }] }]\n";
  assert.deepEqual(gateway(workload), { ...alone, namespace: "shop", serviceAccount: "sa" });
  const own = ", serviceAccount: edge, namespace: istio-system";
  assert.deepEqual(gateway(workload, own), { ...alone, namespace: "istio-system", serviceAccount: "edge" });
});

Deno.test("refuses a workload of the gateway's name", () => {
  const text = agentYaml(`  workloads: [{ ${reviews} }]\n`, "  gateway: { labels: { app: reviews } }\n");
  assert.match(problemsOf(text)[0], /"reviews" is the gateway's name too/);
});

Deno.test("warns of what is not in force", () => {
  const { agent, problems } = parse(agentYaml(
    `  workloads: [{ ${reviews}, process: { systemdUnit: reviews.service } }]\n`,
    "  capture: nftables\n  ports: { dns: 53 }\n",
  ));
  assert.equal(agent?.workloads.length, 1);
  assert.deepEqual(problems.map(({ severity, path }) => `${severity} ${path}`).sort(), [
    "warning spec.capture",
    "warning spec.workloads[0].process",
  ]);
});

Deno.test("reports wrong values and unknown fields with their place", () => {
  assert.deepEqual(
    problemsOf(`apiVersion: skiff.dev/v2
kind: Agent
metadata: { name: VM }
spec:
  controlPlane: "127.0.0.1:99999"
  adress: 127.0.0.1
  workloads:
    - { service: a, ports: [{ port: 80, target: "localhost:80" }], probe: { tcpSocket: { port: 1 }, exec: { command: [] } } }
    - { namespace: shop }
`).map((line) => line.replace(/^agent\.yaml:|error: Agent\/VM: /g, "")),
    [
      '1:13: apiVersion: must be one of skiff.dev/v1, found "skiff.dev/v2"; did you mean skiff.dev/v1?',
      '3:19: metadata.name: must be a DNS name (lower-case letters, digits, hyphens, dots; 253 at most), found "VM"',
      '5:17: spec.controlPlane: must be HOST:PORT, found "127.0.0.1:99999"',
      "6:3: spec.adress: unknown field; did you mean `address`?",
      '8:49: spec.workloads[0].ports[0].target: must be ADDRESS:PORT or unix:/path, found "localhost:80"',
      "8:101: spec.workloads[0].probe.exec: cannot stand beside tcpSocket: only one of httpGet, tcpSocket, exec, grpc may be set",
      "8:118: spec.workloads[0].probe.exec.command: must have 1 to 4096 items, found 0",
      "9:7: spec.workloads[1].service: is required; a workload that only calls has a serviceAccount instead",
    ],
  );
});

Deno.test("never throws, and gives no agent beside an error", () => {
  for (const text of ["", "# nothing\n", "[]", "a: [", "kind: Agent\n---\nkind: Agent\n"]) {
    const { agent, problems } = parse(text);
    assert.equal(agent, undefined, text);
    assert.ok(problems.length > 0, text);
  }
  fc.assert(fc.property(fc.string({ unit: "binary", maxLength: 200 }), (text) => {
    assert.equal(parse(text).agent, undefined);
  }));
});
