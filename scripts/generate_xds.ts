/**
 * Generates TypeScript messages for the xDS v3 API into `routing/xds/gen/` (not committed).
 *
 * The .proto files come with the npm package `@grpc/grpc-js-xds`; `routing/xds/proto/` adds what that does not carry.
 * Does nothing when the output is newer than this script and `deno.json`; `--force` generates anyway.
 */
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { cpSync } from "node:fs";

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const output = join(root, "routing/xds/gen");
const stamp = join(output, ".stamp");

/** What the code uses; everything these files import is generated along with them. */
const wanted = [
  "envoy/service/discovery/v3/ads.proto",
  "envoy/service/status/v3/csds.proto",
  "envoy/config/listener/v3/listener.proto",
  "envoy/config/route/v3/route.proto",
  "envoy/config/cluster/v3/cluster.proto",
  "envoy/config/endpoint/v3/endpoint.proto",
  "envoy/extensions/clusters/dynamic_forward_proxy/v3/cluster.proto",
  "envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager.proto",
  "envoy/extensions/filters/network/tcp_proxy/v3/tcp_proxy.proto",
  "envoy/extensions/filters/network/rbac/v3/rbac.proto",
  "envoy/extensions/filters/http/router/v3/router.proto",
  "envoy/extensions/filters/http/fault/v3/fault.proto",
  "envoy/extensions/filters/http/buffer/v3/buffer.proto",
  "envoy/extensions/filters/http/cors/v3/cors.proto",
  "envoy/extensions/filters/http/dynamic_forward_proxy/v3/dynamic_forward_proxy.proto",
  "envoy/extensions/filters/http/rbac/v3/rbac.proto",
  "envoy/extensions/filters/http/jwt_authn/v3/config.proto",
  "envoy/extensions/filters/http/ext_authz/v3/ext_authz.proto",
  "envoy/extensions/filters/http/local_ratelimit/v3/local_rate_limit.proto",
  "envoy/extensions/filters/listener/tls_inspector/v3/tls_inspector.proto",
  "envoy/extensions/filters/listener/http_inspector/v3/http_inspector.proto",
  "envoy/extensions/filters/listener/original_dst/v3/original_dst.proto",
  "envoy/extensions/filters/listener/proxy_protocol/v3/proxy_protocol.proto",
  "envoy/extensions/transport_sockets/tls/v3/tls.proto",
  "envoy/extensions/transport_sockets/raw_buffer/v3/raw_buffer.proto",
  "envoy/extensions/transport_sockets/proxy_protocol/v3/upstream_proxy_protocol.proto",
  "envoy/extensions/upstreams/http/v3/http_protocol_options.proto",
  "envoy/extensions/path/match/uri_template/v3/uri_template_match.proto",
  "envoy/extensions/retry/host/previous_hosts/v3/previous_hosts.proto",
  "envoy/extensions/retry/priority/previous_priorities/v3/previous_priorities_config.proto",
  "envoy/extensions/access_loggers/file/v3/file.proto",
  "envoy/extensions/access_loggers/filters/cel/v3/cel.proto",
  "istio/v1/auth/ca.proto",
];

/** Modification time of a file in milliseconds, 0 when it does not exist. */
function modified(path: string): number {
  try {
    return Deno.statSync(path).mtime?.getTime() ?? 0;
  } catch {
    return 0;
  }
}

/** Adds to a message of Envoy's what its newer releases have and the package's copy does not. */
function addField(path: string, message: string, name: string, fields: string, imported: string): void {
  const file = join(work, "envoy-api", path);
  let text = Deno.readTextFileSync(file);
  if (!text.includes(message)) throw new Error(`${path} has no ${JSON.stringify(message)}: see whether it has moved`);
  if (text.includes(` ${name} =`)) return;
  if (!text.includes(`import "${imported}"`)) text = text.replace(/^import /m, `import "${imported}";\nimport `);
  Deno.writeTextFileSync(file, text.replace(message, `${message}\n${fields}`));
}

const newest = Math.max(modified(fileURLToPath(import.meta.url)), modified(join(root, "deno.json")));
if (modified(stamp) > newest && !Deno.args.includes("--force")) Deno.exit(0);

const work = Deno.makeTempDirSync({ prefix: "skiff-xds-" });
try {
  const source = join(root, "node_modules/@grpc/grpc-js-xds/deps");
  const modules = ["envoy-api", "googleapis", "protoc-gen-validate", "xds", "own"];
  for (const module of modules.slice(0, -1)) {
    cpSync(join(source, module), join(work, module), { recursive: true, dereference: true });
  }
  cpSync(join(root, "routing/xds/proto"), join(work, "own"), { recursive: true });

  // This copy of validate.proto is older than Envoy's files, which use ignore_empty on strings.
  const validate = join(work, "protoc-gen-validate/validate/validate.proto");
  const text = Deno.readTextFileSync(validate);
  if (!/message StringRules \{[^}]*ignore_empty/.test(text.replaceAll(/oneof [^{]*\{[^}]*\}/g, ""))) {
    Deno.writeTextFileSync(
      validate,
      text.replace(/message StringRules \{/, "message StringRules {\n    optional bool ignore_empty = 26;\n"),
    );
  }

  addField(
    "envoy/config/cluster/v3/circuit_breaker.proto",
    "message RetryBudget {",
    "budget_interval",
    "google.protobuf.Duration budget_interval = 3;",
    "google/protobuf/duration.proto",
  );
  addField(
    "envoy/extensions/upstreams/http/v3/http_protocol_options.proto",
    "message HttpProtocolOptions {",
    "outlier_detection",
    `message OutlierDetection {
      config.common.matcher.v3.MatchPredicate error_matcher = 1;
    }
    OutlierDetection outlier_detection = 8;`,
    "envoy/config/common/matcher/v3/matcher.proto",
  );

  Deno.writeTextFileSync(
    join(work, "buf.yaml"),
    `version: v2\nmodules:\n${modules.map((m) => `  - path: ${m}\n`).join("")}`,
  );
  Deno.writeTextFileSync(
    join(work, "buf.gen.yaml"),
    `version: v2
plugins:
  - local: [${JSON.stringify(join(root, "node_modules/.bin/protoc-gen-es"))}]
    out: out
    opt: [target=ts, import_extension=ts]
`,
  );
  const run = new Deno.Command(join(root, "node_modules/.bin/buf"), {
    args: [
      "generate",
      "--include-imports",
      ...modules.flatMap((m) => wanted.map((w) => `${m}/${w}`)).filter((p) => modified(join(work, p)) > 0).flatMap((
        p,
      ) => ["--path", p]),
    ],
    cwd: work,
    env: { BUF_CACHE_DIR: join(work, "cache"), BUF_BETA_SUPPRESS_WARNINGS: "1" },
  }).outputSync();
  if (!run.success) {
    console.error(new TextDecoder().decode(run.stderr).slice(0, 4000));
    console.error("generate_xds: buf could not generate the xDS messages");
    Deno.exit(1);
  }
  // Another task may be reading the old output: the new one appears whole.
  const next = `${output}.${Deno.pid}`;
  cpSync(join(work, "out"), next, { recursive: true });
  Deno.writeTextFileSync(join(next, ".stamp"), "");
  Deno.mkdirSync(output, { recursive: true });
  Deno.renameSync(output, `${next}.old`);
  Deno.renameSync(next, output);
  Deno.removeSync(`${next}.old`, { recursive: true });
} finally {
  Deno.removeSync(work, { recursive: true });
}
