import assert from "node:assert/strict";
import { request } from "../route/testdata/request.ts";
import { Flag } from "../respond/outcome.ts";
import { type Expression, parseExpression } from "../../routing/expression/parse.ts";
import { type AccessLogEntry, AccessLogFormat, newConnectionEntry, newEntry } from "./access_log.ts";

function line(
  config: { format?: string; json?: Record<string, string> },
  change: (entry: AccessLogEntry) => void = () => {},
) {
  const format = new AccessLogFormat({ path: "", format: config.format ?? null, json: config.json ?? null });
  const head = request(
    "GET /a?b=c",
    "Host: reviews:9080",
    "User-Agent: curl/8",
    "X-Request-Id: id-1",
    "X-Forwarded-For: 10.0.0.1",
  );
  const entry = newEntry([format], head, "HTTP/1.1", Date.UTC(2030, 0, 2, 3, 4, 5, 67));
  Object.assign(entry, {
    responseCode: 200,
    bytesReceived: 3,
    bytesSent: 4,
    duration: 5.4,
    upstreamHost: "127.0.0.1:80",
  });
  entry.responseHeaders.set("x-envoy-upstream-service-time", "2");
  change(entry);
  return format.line(entry);
}

Deno.test("the default format is Envoy's", () => {
  assert.equal(
    line({}),
    '[2030-01-02T03:04:05.067Z] "GET /a?b=c HTTP/1.1" 200 - 3 4 5 2 "10.0.0.1" "curl/8" "id-1" "reviews:9080" ' +
      '"127.0.0.1:80"\n',
  );
  assert.equal(line({ format: "" }), line({}));
});

Deno.test("what is not there is a dash", () => {
  const format =
    "%REQ(X-NONE)% %RESP(X-NONE)% %UPSTREAM_CLUSTER% %UPSTREAM_PEER_URI_SAN% %ROUTE_NAME% %NO_SUCH_OPERATOR%";
  assert.equal(line({ format }), "- - - - - -");
});

Deno.test("operators give their part of the entry", () => {
  const format = "%REQ(X-NONE?:AUTHORITY)%|%REQ(USER-AGENT):4%|%RESPONSE_FLAGS%|%REQUESTED_SERVER_NAME%|" +
    "%DOWNSTREAM_REMOTE_ADDRESS%|%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT%|%UPSTREAM_CLUSTER%|100%";
  const text = line({ format }, (entry) => {
    entry.flags = Flag.UF | Flag.URX;
    entry.requestedServerName = "sni";
    entry.downstreamRemote = "[::1]:5000";
    entry.upstreamCluster = "outbound|80||a";
  });
  assert.equal(text, "reviews:9080|curl|URX,UF|sni|[::1]:5000|[::1]|outbound|80||a|100%");
});

Deno.test("JSON lines carry null for what is not there", () => {
  const text = line({
    json: { code: "%RESPONSE_CODE%", none: "%REQ(X-NONE)%", mixed: "a %REQ(:METHOD)% %REQ(X-NONE)%" },
  });
  assert.ok(text.endsWith("\n"));
  assert.deepEqual(JSON.parse(text), { code: "200", none: null, mixed: "a GET -" });
});

Deno.test("no value can end its field or its line, and none is longer than 4096 characters", () => {
  const evil = (entry: AccessLogEntry) => {
    entry.requestHeaders.set("user-agent", 'a"b\nc\r\x1b[31m\\d\0\xe4\u{2028}');
    entry.path = "/" + "x".repeat(10_000);
  };
  assert.equal(
    line({ format: '"%REQ(USER-AGENT)%"' }, evil),
    '"a\\x22b\\x0ac\\x0d\\x1b[31m\\x5cd\\x00\\xe4\\x2028"',
  );
  assert.equal(line({ format: "%REQ(:PATH)%" }, evil).length, 4096);
  const json = line({ json: { agent: "%REQ(USER-AGENT)%" } }, evil);
  assert.equal(json.split("\n").length, 2);
  assert.equal(JSON.parse(json).agent, "a\\x22b\\x0ac\\x0d\\x1b[31m\\x5cd\\x00\\xe4\\x2028");
});

Deno.test("what is not there is left out where the log wants that", () => {
  const format = (config: { format?: string; json?: Record<string, string> }) =>
    new AccessLogFormat({ path: "", format: config.format ?? null, json: config.json ?? null, omitEmptyValues: true });
  const entry = newConnectionEntry(0);
  assert.equal(format({ format: "[%REQ(X-NONE)%|%BYTES_SENT%]" }).line(entry), "[|0]");
  assert.equal(format({ json: { none: "%REQ(X-NONE)%", sent: "%BYTES_SENT%" } }).line(entry), '{"sent":"0"}\n');
});

Deno.test("a filter keeps lines away, and has the headers that it asks for kept", () => {
  const filter = parseExpression("response.code >= 400 && request.headers['x-user'] == 'jason'") as Expression;
  const format = new AccessLogFormat({ path: "", format: "%RESPONSE_CODE%", json: null, filter });
  const lineOf = (code: number, user: string) => {
    const entry = newEntry([format], request("GET /", `X-User: ${user}`), "HTTP/1.1", 0);
    entry.responseCode = code;
    return format.line(entry);
  };
  assert.equal(lineOf(404, "jason"), "404");
  assert.equal(lineOf(404, "mary"), "");
  assert.equal(lineOf(200, "jason"), "");
  // A TCP connection has no response: what asks for its code does not hold, whatever it is compared with.
  const none = new AccessLogFormat({
    path: "",
    format: "x",
    json: null,
    filter: parseExpression("response.code < 1") as Expression,
  });
  assert.equal(none.line(newConnectionEntry(0)), "");
});

Deno.test("only headers that a format names are kept", () => {
  const format = new AccessLogFormat({ path: "", format: "%REQ(X-A?X-B)% %RESP(X-C)%", json: null });
  assert.deepEqual([...format.requestHeaders], ["x-a", "x-b"]);
  assert.deepEqual([...format.responseHeaders], ["x-c"]);
  const entry = newEntry([format], request("GET /", "X-B: 1", "X-D: 2"), "HTTP/1.1", 0);
  assert.deepEqual([...entry.requestHeaders], [["x-b", "1"]]);
  assert.equal(format.line(entry), "1 -");
});
