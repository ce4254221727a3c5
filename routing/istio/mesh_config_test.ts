import assert from "node:assert/strict";
import { defaultMeshSettings, parseMeshConfig } from "./mesh_config.ts";
import { formatProblem } from "./problem.ts";

Deno.test("an empty mesh.yaml means Istio's defaults", () => {
  assert.deepEqual(parseMeshConfig("mesh.yaml", "# nothing yet\n"), { settings: defaultMeshSettings, problems: [] });
});

Deno.test("reads every setting that is in force", () => {
  const { settings, problems } = parseMeshConfig(
    "mesh.yaml",
    `trustDomain: example.org
rootNamespace: mesh
outboundTrafficPolicy: { mode: REGISTRY_ONLY }
connectTimeout: 1.5s
accessLogFile: /dev/stdout
accessLogEncoding: JSON
accessLogFormat: "%PROTOCOL%\\n"
pathNormalization: { normalization: MERGE_SLASHES }
enableAutoMtls: true
`,
  );
  assert.deepEqual(problems, []);
  assert.deepEqual(settings, {
    trustDomain: "example.org",
    domain: "cluster.local",
    rootNamespace: "mesh",
    outboundTrafficPolicy: "REGISTRY_ONLY",
    connectTimeout: 1500,
    accessLogFile: "/dev/stdout",
    accessLogEncoding: "JSON",
    accessLogFormat: "%PROTOCOL%\n",
    pathNormalization: "MERGE_SLASHES",
  });
});

Deno.test("warns of settings that are not in force, refuses those that do not exist", () => {
  const { settings, problems } = parseMeshConfig(
    "mesh.yaml",
    "trustDomian: a\ndefaultConfig: { holdApplicationUntilProxyStarts: true }\nconnectTimeout: 5\n",
  );
  assert.deepEqual(settings, defaultMeshSettings);
  assert.deepEqual(problems.map(formatProblem), [
    "mesh.yaml:1:1: error: MeshConfig: trustDomian: unknown field; did you mean `trustDomain`?",
    "mesh.yaml:2:18: warning: MeshConfig: defaultConfig.holdApplicationUntilProxyStarts: accepted but not in force in this version",
    "mesh.yaml:3:17: error: MeshConfig: connectTimeout: must be a duration with its unit, such as 2s or 500ms, found the number 5",
  ]);
});

Deno.test("refuses a second document and text that is no map", () => {
  assert.equal(parseMeshConfig("mesh.yaml", "trustDomain: a\n---\ntrustDomain: b\n").problems.length, 1);
  assert.equal(parseMeshConfig("mesh.yaml", "[a]").problems.length, 1);
  assert.equal(parseMeshConfig("mesh.yaml", "a: [").problems[0].severity, "error");
});

Deno.test("reads how many proxies stand in front of gateways, and says what else it does not act on", () => {
  const { settings, problems } = parseMeshConfig(
    "mesh.yaml",
    "defaultConfig: { gatewayTopology: { numTrustedProxies: 2, forwardClientCertDetails: SANITIZE } }\n",
  );
  assert.deepEqual(settings.gatewayTopology, { numTrustedProxies: 2 });
  assert.deepEqual(problems.map(({ path }) => path), ["defaultConfig.gatewayTopology.forwardClientCertDetails"]);
});
