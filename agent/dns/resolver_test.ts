import { deepEqual, equal, rejects } from "node:assert/strict";
import { startNameServer } from "./testdata/name_server.ts";
import { Resolver } from "./resolver.ts";
import { parseHosts, parseNameServers } from "./system_files.ts";

Deno.test("resolves A and AAAA records, with the shortest life among them", async () => {
  await using server = await startNameServer();
  server.records.set("db.example A", [
    { type: "A", name: "db.example", ttl: 30, data: "192.0.2.1" },
    { type: "A", name: "DB.example", ttl: 20, data: "192.0.2.2" },
  ]);
  server.records.set("db.example AAAA", [{ type: "AAAA", name: "db.example", ttl: 5, data: "2001:db8::1" }]);
  const resolver = new Resolver({ servers: [server] });
  deepEqual(await resolver.resolve("db.example", "A"), { addresses: ["192.0.2.1", "192.0.2.2"], ttl: 20_000 });
  deepEqual(await resolver.resolve("db.example", "AAAA"), { addresses: ["2001:db8::1"], ttl: 5000 });
});

Deno.test("follows aliases, and takes nothing that the question did not lead to", async () => {
  await using server = await startNameServer();
  server.records.set("www.example A", [
    { type: "CNAME", name: "www.example", ttl: 10, data: "host.example" },
    { type: "A", name: "host.example", ttl: 60, data: "192.0.2.1" },
    { type: "A", name: "stranger.example", ttl: 60, data: "192.0.2.66" },
  ]);
  const resolver = new Resolver({ servers: [server] });
  deepEqual(await resolver.resolve("www.example", "A"), { addresses: ["192.0.2.1"], ttl: 10_000 });
});

Deno.test("ends on aliases that go round", async () => {
  await using server = await startNameServer();
  server.records.set("a.example A", [
    { type: "CNAME", name: "a.example", data: "b.example" },
    { type: "CNAME", name: "b.example", data: "a.example" },
  ]);
  deepEqual((await new Resolver({ servers: [server] }).resolve("a.example", "A")).addresses, []);
});

Deno.test("a name that does not exist has no addresses; a server in trouble is an error", async () => {
  await using server = await startNameServer();
  const resolver = new Resolver({ servers: [server] });
  deepEqual((await resolver.resolve("none.example", "A")).addresses, []);
  server.trouble = 2;
  await rejects(resolver.resolve("none.example", "A"), /answered with code 2/);
});

Deno.test("asks the next server when one does not answer", async () => {
  await using silent = await startNameServer();
  await using server = await startNameServer();
  silent.trouble = "silence";
  server.records.set("db.example A", [{ type: "A", name: "db.example", ttl: 30, data: "192.0.2.1" }]);
  deepEqual((await new Resolver({ servers: [silent, server] }).resolve("db.example", "A")).addresses, ["192.0.2.1"]);
  equal(silent.asked.length, 1);
});

Deno.test("asks over TCP when the answer over UDP is cut off", async () => {
  await using server = await startNameServer();
  server.truncates = true;
  server.records.set("db.example A", [{ type: "A", name: "db.example", ttl: 30, data: "192.0.2.1" }]);
  deepEqual((await new Resolver({ servers: [server] }).resolve("db.example", "A")).addresses, ["192.0.2.1"]);
});

Deno.test("this machine's hosts file goes first", async () => {
  await using server = await startNameServer();
  deepEqual((await new Resolver({ servers: [server] }).resolve("localhost", "A")).addresses, ["127.0.0.1"]);
  deepEqual(server.asked, []);
});

Deno.test("reads resolv.conf and hosts files", () => {
  deepEqual(parseNameServers("search x\n# nameserver 1.1.1.1\nnameserver 192.0.2.1\nnameserver nonsense\n"), [
    { address: "192.0.2.1", port: 53 },
  ]);
  deepEqual(parseNameServers(""), [{ address: "127.0.0.1", port: 53 }]);
  deepEqual([...parseHosts("192.0.2.1 One two # three\n::1 one\nnonsense four\n")], [
    ["one", ["192.0.2.1", "::1"]],
    ["two", ["192.0.2.1"]],
  ]);
});
