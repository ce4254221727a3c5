import { deepStrictEqual, match, strictEqual } from "node:assert/strict";
import type { MeshSettings } from "../mesh.ts";
import { AccessLogSchema } from "../xds/gen/envoy/config/accesslog/v3/accesslog_pb.ts";
import { accessLogs } from "./access_log.ts";
import { json, settings } from "./testing/mesh.ts";

/** The file access log under these settings. */
function log(changes: Partial<MeshSettings>) {
  const [compiled] = accessLogs({ ...settings, accessLogFile: "/dev/stdout", ...changes });
  return json(AccessLogSchema, compiled).typedConfig;
}

Deno.test("without a file there is no access log", () => {
  deepStrictEqual(accessLogs(settings), []);
});

Deno.test("text logs are Istio's line or the mesh's own, ended by a newline", () => {
  const { path, logFormat } = log({});
  strictEqual(path, "/dev/stdout");
  match(logFormat.textFormatSource.inlineString, /^\[%START_TIME%\] "%REQ\(:METHOD\)% .* %ROUTE_NAME%\n$/);
  const own = log({ accessLogFormat: "%RESPONSE_CODE%" });
  strictEqual(own.logFormat.textFormatSource.inlineString, "%RESPONSE_CODE%\n");
});

Deno.test("JSON logs have Istio's fields or the mesh's own, and broken JSON gives the default", () => {
  const own = log({ accessLogEncoding: "JSON", accessLogFormat: '{"code":"%RESPONSE_CODE%"}' });
  deepStrictEqual(own.logFormat.jsonFormat, { code: "%RESPONSE_CODE%" });
  for (const accessLogFormat of ["", "{", "[]", "3"]) {
    const { jsonFormat } = log({ accessLogEncoding: "JSON", accessLogFormat }).logFormat;
    strictEqual(jsonFormat.response_code, "%RESPONSE_CODE%");
    strictEqual(jsonFormat.upstream_cluster, "%UPSTREAM_CLUSTER%");
  }
});
