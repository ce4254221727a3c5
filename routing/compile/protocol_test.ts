import { strictEqual } from "node:assert/strict";
import { portProtocol } from "./protocol.ts";

Deno.test("a port's protocol is the declared one, else the prefix of its name", () => {
  const cases: [string, string, string][] = [
    ["http", "", "HTTP"],
    ["http-metrics", "", "HTTP"],
    ["HTTP2-api", "", "HTTP2"],
    ["grpc-web", "", "GRPC"],
    ["grpc", "", "GRPC"],
    ["tcp-db", "", "TCP"],
    ["httpfoo", "", "UNSPECIFIED"],
    ["", "", "UNSPECIFIED"],
    ["http", "TCP", "TCP"],
    ["tcp", "http", "HTTP"],
    ["http", "something", "UNSPECIFIED"],
  ];
  for (const [name, declared, protocol] of cases) {
    strictEqual(portProtocol(name, declared), protocol, `${name} declared ${declared || "nothing"}`);
  }
});
