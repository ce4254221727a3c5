import assert from "node:assert/strict";
import type { RedirectConfig } from "../config/model.ts";
import type { Route } from "../route/route_table.ts";
import { request } from "../route/testdata/request.ts";
import { redirectHeaders } from "./redirect.ts";

function location(redirect: Partial<RedirectConfig>, target: string, host: string, matchedLength = 1): string {
  const whole: RedirectConfig = {
    kind: "redirect",
    status: 301,
    host: "",
    port: 0,
    scheme: "",
    path: "",
    prefixRewrite: "",
    stripQuery: false,
    ...redirect,
  };
  const line = redirectHeaders(whole, { matchedLength } as Route, request(`GET ${target}`, `Host: ${host}`));
  const match = /^location: ([^\r\n]*)\r\n$/.exec(line);
  assert.ok(match, line);
  return match[1];
}

const cases: [redirect: Partial<RedirectConfig>, target: string, host: string, matched: number, expected: string][] = [
  [{ scheme: "https" }, "/a?b", "x.example", 1, "https://x.example/a?b"],
  [{ scheme: "https" }, "/a", "x.example:80", 1, "https://x.example/a"],
  [{ scheme: "https" }, "/a", "x.example:8080", 1, "https://x.example:8080/a"],
  [{ scheme: "https", port: 443 }, "/a", "x.example:8080", 1, "https://x.example:443/a"],
  [{}, "/a", "x:80", 1, "http://x:80/a"],
  [{ scheme: "https", port: 8443 }, "/a", "x.example", 1, "https://x.example:8443/a"],
  [{ host: "y" }, "/a?b", "x:8080", 1, "http://y/a?b"],
  [{ host: "y", port: 81 }, "/a", "x:8080", 1, "http://y:81/a"],
  [{}, "/a", "x:8080", 1, "http://x:8080/a"],
  [{}, "/a", "[::1]:8080", 1, "http://[::1]:8080/a"],
  [{ host: "y" }, "/a", "[::1]", 1, "http://y/a"],
  [{ path: "/b" }, "/a?c=d", "x", 1, "http://x/b?c=d"],
  [{ path: "/b?e" }, "/a?c=d", "x", 1, "http://x/b?e"],
  [{ path: "/b", stripQuery: true }, "/a?c=d", "x", 1, "http://x/b"],
  [{ prefixRewrite: "/new" }, "/old/page?c=d", "x", 4, "http://x/new/page?c=d"],
  [{ prefixRewrite: "/new" }, "/old", "x", -1, "http://x/new"],
  [{ stripQuery: true }, "/a?c=d", "x", 1, "http://x/a"],
];

for (const [redirect, target, host, matched, expected] of cases) {
  Deno.test(`redirect ${JSON.stringify(redirect)} of ${host}${target} leads to ${expected}`, () => {
    assert.equal(location(redirect, target, host, matched), expected);
  });
}
