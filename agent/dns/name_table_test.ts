import { deepEqual, equal } from "node:assert/strict";
import { addressesOf, nameTable } from "./name_table.ts";

const listeners = [
  { address: "127.64.1.1", service: "reviews.default.svc.cluster.local" },
  { address: "127.64.1.1", service: "reviews.default.svc.cluster.local" },
  { address: "127.64.1.2", service: "reviews.prod.svc.cluster.local" },
  { address: "127.64.1.3", service: "API.example.com" },
  { address: "127.64.1.4", service: "*.example.com" },
  { address: "127.64.1.5", service: "*.deep.example.com" },
  { address: "127.0.0.1" },
];

Deno.test("services have their hostnames, and short names by the workload's namespace", () => {
  const table = nameTable(listeners, "default");
  for (const name of ["reviews", "reviews.default", "reviews.default.svc", "Reviews.Default.svc.cluster.LOCAL."]) {
    deepEqual(addressesOf(table, name), ["127.64.1.1"], name);
  }
  deepEqual(addressesOf(table, "reviews.prod"), ["127.64.1.2"]);
  deepEqual(addressesOf(nameTable(listeners, "prod"), "reviews"), ["127.64.1.2"]);
  equal(addressesOf(nameTable(listeners, "other"), "reviews"), null);
});

Deno.test("an exact name goes before a wildcard, and the longer wildcard before the shorter", () => {
  const table = nameTable(listeners, "default");
  deepEqual(addressesOf(table, "api.example.com"), ["127.64.1.3"]);
  deepEqual(addressesOf(table, "www.example.com"), ["127.64.1.4"]);
  deepEqual(addressesOf(table, "a.b.deep.example.com"), ["127.64.1.5"]);
  equal(addressesOf(table, "example.com"), null);
  equal(addressesOf(table, "example.org"), null);
});

Deno.test("no name leads to an address that is not this agent's", () => {
  equal(addressesOf(nameTable(listeners, "default", new Set(["127.64.1.1"])), "reviews"), null);
});
