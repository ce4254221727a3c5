import assert from "node:assert/strict";
import { EgressHosts } from "./egress_hosts.ts";

/** Whether the hosts let `namespace/host` through for a workload of namespace `own`. */
function sees(hosts: string[], of: string): boolean {
  const [namespace, host] = of.split("/");
  return new EgressHosts(hosts, "own").includes(namespace, host);
}

Deno.test("a host is let through by its namespace and its name", () => {
  assert.equal(sees(["*/*"], "prod/a.example.com"), true);
  assert.equal(sees(["prod/*"], "prod/a.example.com"), true);
  assert.equal(sees(["prod/*"], "test/a.example.com"), false);
  assert.equal(sees(["./*"], "own/a.example.com"), true);
  assert.equal(sees(["./*"], "prod/a.example.com"), false);
  assert.equal(sees(["*/a.example.com"], "prod/A.example.com"), true);
  assert.equal(sees(["*/a.example.com"], "prod/b.example.com"), false);
  assert.equal(sees(["~/*"], "own/a.example.com"), false);
});

Deno.test("a wildcard takes whole labels, and hosts that are wildcards themselves", () => {
  assert.equal(sees(["*/*.example.com"], "prod/a.b.example.com"), true);
  assert.equal(sees(["*/*.example.com"], "prod/example.com"), false);
  assert.equal(sees(["*/*.example.com"], "prod/anexample.com"), false);
  assert.equal(sees(["*/*.example.com"], "prod/*.example.com"), true);
  assert.equal(sees(["*/a.example.com"], "prod/*.example.com"), false);
});

Deno.test("~namespace/host takes away what another host lets through, in any order", () => {
  const hosts = ["~prod/secret.example.com", "*/*", "~./mine.example.com"];
  assert.equal(sees(hosts, "prod/secret.example.com"), false);
  assert.equal(sees(hosts, "test/secret.example.com"), true);
  assert.equal(sees(hosts, "own/mine.example.com"), false);
  assert.equal(sees(["~prod/*"], "test/a.example.com"), false);
});

Deno.test("a rule for a wildcard concerns a host below it that is let through", () => {
  const hosts = new EgressHosts(["prod/a.example.com"], "own");
  assert.equal(hosts.concerns("prod", "*.example.com"), true);
  assert.equal(hosts.concerns("prod", "b.example.com"), false);
  assert.equal(hosts.concerns("test", "a.example.com"), false);
});
