import assert from "node:assert/strict";
import { parseSecretName } from "./secret_names.ts";

Deno.test("reads Istio's names of secrets", () => {
  const sources: Record<string, unknown> = {
    "default": { kind: "own" },
    "ROOTCA": { kind: "own" },
    "file-cert:/etc/certs/cert.pem~/etc/certs/key.pem": {
      kind: "certificateFiles",
      certificate: "/etc/certs/cert.pem",
      key: "/etc/certs/key.pem",
    },
    "file-root:/etc/certs/root.pem": { kind: "bundleFile", bundle: "/etc/certs/root.pem" },
    "file-root:system": { kind: "system" },
    "kubernetes://httpbin-credential": { kind: "credential", name: "httpbin-credential" },
    "kubernetes://httpbin.v1-cacert": { kind: "credentialBundle", name: "httpbin.v1" },
  };
  for (const [name, source] of Object.entries(sources)) assert.deepEqual(parseSecretName(name), source, name);
});

Deno.test("no name leads out of the folder of credentials, and no path depends on where the agent was started", () => {
  const refused = [
    "",
    "other",
    "file-cert:/etc/cert.pem",
    "file-cert:cert.pem~key.pem",
    "file-cert:/a~/b~/c",
    "file-root:",
    "file-root:root.pem",
    "file-root:/a\0b",
    "kubernetes://",
    "kubernetes://..",
    "kubernetes://../x",
    "kubernetes://a/b",
    "kubernetes://a..b",
    "kubernetes://UPPER",
    "kubernetes://-cacert",
    `kubernetes://${"a".repeat(254)}`,
  ];
  for (const name of refused) assert.equal(parseSecretName(name), null, name);
});
