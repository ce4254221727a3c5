import assert from "node:assert/strict";
import type { JsonObject } from "@bufbuild/protobuf";
import { ListenerSchema } from "../../../routing/xds/gen/envoy/config/listener/v3/listener_pb.ts";
import { translateListener } from "./listener.ts";
import { fromFile, message, refusedAt } from "./testdata/envoy_json.ts";

const types = "type.googleapis.com/envoy.extensions";
const manager = `${types}.filters.network.http_connection_manager.v3.HttpConnectionManager`;
const router = { name: "r", typedConfig: { "@type": `${types}.filters.http.router.v3.Router` } };
const at = "listener l: filter_chains[0].filters[0].typed_config";

/** A listener with one chain, whose connection manager has these fields besides the ones it must have. */
function listener(fields: JsonObject, chain: JsonObject = {}) {
  const config = {
    "@type": manager,
    httpFilters: [router],
    ...("routeConfig" in fields ? {} : { rds: { configSource: { ads: {} }, routeConfigName: "r" } }),
    ...fields,
  };
  return message(ListenerSchema, {
    name: "l",
    address: { socketAddress: { address: "127.0.0.1", portValue: 80 } },
    filterChains: [{ filters: [{ name: "f", typedConfig: config }], ...chain }],
  });
}

Deno.test("translates a listener with a chain for mutual TLS and one for plaintext", () => {
  const { listener, inlineRoutes, routeNames, secrets } = translateListener(
    fromFile(ListenerSchema, "listener.json"),
  );
  const [mutual, plain] = listener.filterChains;
  assert.deepEqual({ ...listener, filterChains: [] }, {
    name: "virtualInbound",
    address: "127.0.1.1",
    port: 15006,
    direction: "inbound",
    inspectsHttp: true,
    filterChains: [],
    accessLog: [{ path: "/dev/stdout", format: null, json: { method: "%REQ(:METHOD)%" } }],
  });
  assert.deepEqual(mutual, {
    name: "mutual",
    serverNames: ["outbound_.9080_._.reviews.default.svc.cluster.local", "*.reviews.example"],
    transportProtocol: "tls",
    applicationProtocols: ["istio-http/1.1"],
    tls: {
      certificate: "default",
      trustBundle: "ROOTCA",
      requireClientCertificate: true,
      alpn: ["http/1.1"],
      minimumVersion: "1.3",
      maximumVersion: "1.3",
      sessionResumption: true,
    },
    http: {
      statPrefix: "inbound_9080",
      routeConfigName: "virtualInbound/mutual",
      serverName: "skiff",
      streamIdleTimeout: 7500,
      requestHeadersTimeout: 10_000,
      idleTimeout: 60_000,
      maxRequestHeadersBytes: 32 * 1024,
      useRemoteAddress: true,
      generateRequestId: false,
      forwardClientCertDetails: "SANITIZE_SET",
      clientCertDetails: { subject: false, cert: false, chain: false, dns: false, uri: true },
      httpFilters: ["fault", "router"],
      upgradeTypes: [],
    },
    tcp: null,
  });
  assert.equal(plain.name, "1");
  assert.equal(plain.tls, null);
  assert.equal(plain.transportProtocol, "raw_buffer");
  assert.deepEqual(inlineRoutes.map(({ name }) => name), ["virtualInbound/mutual"]);
  assert.deepEqual(routeNames, ["9080"]);
  assert.deepEqual(secrets, []);
});

Deno.test("fills in Envoy's defaults of the connection manager", () => {
  assert.deepEqual(translateListener(listener({})).listener.filterChains[0].http, {
    statPrefix: "",
    routeConfigName: "r",
    serverName: "envoy",
    streamIdleTimeout: 300_000,
    requestHeadersTimeout: 0,
    idleTimeout: 3_600_000,
    maxRequestHeadersBytes: 60 * 1024,
    useRemoteAddress: false,
    generateRequestId: true,
    forwardClientCertDetails: "SANITIZE",
    httpFilters: ["router"],
    upgradeTypes: [],
  });
});

Deno.test("takes the limits of callers' connections, of which 0 is none", () => {
  const limits = (commonHttpProtocolOptions: JsonObject) => {
    const { http } = translateListener(listener({ commonHttpProtocolOptions })).listener.filterChains[0];
    return [http!.maxRequestsPerConnection, http!.maxConnectionDuration];
  };
  assert.deepEqual(limits({ maxRequestsPerConnection: 7, maxConnectionDuration: "90s" }), [7, 90_000]);
  assert.deepEqual(limits({ maxRequestsPerConnection: 0, maxConnectionDuration: "0s" }), [undefined, undefined]);
});

Deno.test("takes the upgrades that are not switched off, in lower case", () => {
  const upgradeConfigs: JsonObject[] = [{ upgradeType: "WebSocket" }, { upgradeType: "spdy/3.1", enabled: false }];
  assert.deepEqual(translateListener(listener({ upgradeConfigs })).listener.filterChains[0].http?.upgradeTypes, [
    "websocket",
  ]);
});

Deno.test("takes text formats of access logs in all forms", () => {
  const log = (format: JsonObject) => {
    const typedConfig = { "@type": `${types}.access_loggers.file.v3.FileAccessLog`, path: "/log", ...format };
    return translateListener(listener({ accessLog: [{ name: "a", typedConfig }] })).listener.accessLog;
  };
  assert.deepEqual(log({}), [{ path: "/log", format: "", json: null }]);
  const formats: JsonObject[] = [
    { format: "x" },
    { logFormat: { textFormat: "x" } },
    { logFormat: { textFormatSource: { inlineString: "x" } } },
    { logFormat: { textFormatSource: { inlineBytes: "eA==" } } },
  ];
  for (const format of formats) assert.deepEqual(log(format), [{ path: "/log", format: "x", json: null }]);
  assert.equal(
    refusedAt(() => log({ logFormat: { jsonFormat: { a: { b: "c" } } } })),
    `${at}.access_log[0].typed_config.log_format.json_format["a"]`,
  );
});

const refusals: [string, JsonObject, string][] = [
  ["an HTTP/2 listener", { codecType: "HTTP2" }, ".codec_type"],
  ["tracing", { tracing: {} }, ".tracing"],
  [
    "filters of an upgrade's own",
    { upgradeConfigs: [{ upgradeType: "websocket", filters: [router] }] },
    ".upgrade_configs[0].filters",
  ],
  ["an upgrade to nothing", { upgradeConfigs: [{}] }, ".upgrade_configs[0].upgrade_type"],
  [
    "an upgrade named twice",
    { upgradeConfigs: [{ upgradeType: "websocket" }, { upgradeType: "WebSocket" }] },
    ".upgrade_configs",
  ],
  [
    "a route source other than ADS",
    { rds: { configSource: { path: "/x" }, routeConfigName: "r" } },
    ".rds.config_source.path",
  ],
  [
    "an internal range that is no address",
    { internalAddressConfig: { cidrRanges: [{ addressPrefix: "mesh", prefixLen: 8 }] } },
    ".internal_address_config.cidr_ranges[0].address_prefix",
  ],
  ["filters without a router", { httpFilters: [] }, ".http_filters"],
  ["filters after the router", { httpFilters: [router, router] }, ".http_filters[1]"],
  [
    "a fault for all routes",
    {
      httpFilters: [{
        name: "envoy.filters.http.fault",
        typedConfig: { "@type": `${types}.filters.http.fault.v3.HTTPFault`, abort: { httpStatus: 500 } },
      }, router],
    },
    ".http_filters[0].typed_config.abort",
  ],
  [
    "another type where a filter should be",
    { httpFilters: [{ name: "x", typedConfig: { "@type": manager } }, router] },
    ".http_filters[0].typed_config",
  ],
  [
    "what is wrong in an inline route configuration",
    {
      routeConfig: {
        virtualHosts: [{
          name: "v",
          domains: ["*"],
          routes: [{ match: { prefix: "/" }, route: { clusterHeader: "x" } }],
        }],
      },
    },
    ".route_config.virtual_hosts[0].routes[0].route.cluster_header",
  ],
];
for (const [what, fields, path] of refusals) {
  Deno.test(`refuses ${what} of a connection manager, by its path`, () => {
    assert.equal(refusedAt(() => translateListener(listener(fields))), at + path);
  });
}

Deno.test("refuses TLS that it cannot serve, by its path", () => {
  const sds = { name: "default", sdsConfig: { ads: {} } };
  const refused = (context: JsonObject) =>
    refusedAt(() =>
      translateListener(listener({}, {
        transportSocket: {
          name: "tls",
          typedConfig: { "@type": `${types}.transport_sockets.tls.v3.DownstreamTlsContext`, ...context },
        },
      }))
    ).replace("listener l: filter_chains[0].transport_socket.typed_config", "");
  const certificate = { tlsCertificateSdsSecretConfigs: [sds] };
  assert.equal(refused({ commonTlsContext: certificate }), "");
  assert.equal(refused({}), ".common_tls_context");
  assert.equal(
    refused({ commonTlsContext: certificate, requireClientCertificate: true }),
    ".require_client_certificate",
  );
  const versions = (minimum: string, maximum: string) =>
    refused({
      commonTlsContext: {
        ...certificate,
        tlsParams: { tlsMinimumProtocolVersion: minimum, tlsMaximumProtocolVersion: maximum },
      },
    });
  assert.equal(versions("TLSv1_2", "TLSv1_2"), "");
  assert.equal(versions("TLSv1_3", "TLSv1_2"), ".common_tls_context.tls_params.tls_minimum_protocol_version");
  assert.equal(versions("TLS_AUTO", "TLSv1_1"), ".common_tls_context.tls_params.tls_maximum_protocol_version");
  assert.equal(
    refused({ commonTlsContext: { ...certificate, tlsParams: { tlsMinimumProtocolVersion: "TLSv1_1" } } }),
    ".common_tls_context.tls_params.tls_minimum_protocol_version",
  );
  assert.equal(
    refused({ commonTlsContext: { tlsCertificateSdsSecretConfigs: [{ name: "default" }] } }),
    ".common_tls_context.tls_certificate_sds_secret_configs[0].sds_config",
  );
  assert.equal(
    refused({ commonTlsContext: { tlsCertificates: [{}] } }),
    ".common_tls_context.tls_certificates[0].certificate_chain",
  );
});

Deno.test("refuses listeners that no data thread can open, by the path", () => {
  const refused = (changes: JsonObject) =>
    refusedAt(() => translateListener(fromFile(ListenerSchema, "listener.json", changes)))
      .replace("listener virtualInbound: ", "");
  assert.equal(refused({ address: { pipe: { path: "/x" } } }), "address.socket_address.port_value");
  assert.equal(
    refused({ address: { socketAddress: { address: "name.example", portValue: 1 } } }),
    "address.socket_address.address",
  );
  assert.equal(refused({ bindToPort: false }), "bind_to_port");
  assert.equal(refused({ filterChains: [] }), "filter_chains");
  assert.equal(refused({ filterChains: [{}] }), "filter_chains[0].filters");
  assert.equal(refused({ useOriginalDst: true }), "use_original_dst");
});

Deno.test("reads how paths and hosts are spelt; nothing of it where the connection manager says nothing", () => {
  const http = (fields: JsonObject) => translateListener(listener(fields)).listener.filterChains[0].http!;
  assert.deepEqual(http({ normalizePath: true }).paths, {
    normalize: true,
    mergeSlashes: false,
    escapedSlashes: "keep",
  });
  assert.deepEqual(http({ mergeSlashes: true, pathWithEscapedSlashesAction: "UNESCAPE_AND_REDIRECT" }).paths, {
    normalize: false,
    mergeSlashes: true,
    escapedSlashes: "redirect",
  });
  assert.deepEqual(http({ stripMatchingHostPort: true }).hosts, { stripTrailingDot: false, stripPort: 80 });
  assert.deepEqual(http({ stripAnyHostPort: true, stripTrailingHostDot: true }).hosts, {
    stripTrailingDot: true,
    stripPort: "any",
  });
  assert.equal(
    refusedAt(() => http({ stripMatchingHostPort: true, stripAnyHostPort: true })),
    `${at}.strip_matching_host_port`,
  );
});

Deno.test("reads what callers may say of themselves, and what is told of their certificates", () => {
  const http = (fields: JsonObject) => translateListener(listener(fields)).listener.filterChains[0].http!;
  const cidrRanges = [{ addressPrefix: "10.0.0.0", prefixLen: 8 }];
  assert.deepEqual(http({ xffNumTrustedHops: 2, via: "v", internalAddressConfig: { cidrRanges } }).forwarding, {
    trustedHops: 2,
    skipAppend: false,
    internalRanges: [{ address: "10.0.0.0", length: 8 }],
    preserveRequestId: false,
    requestIdInResponse: false,
    via: "v",
  });
  const none = { subject: false, cert: false, chain: false, dns: false, uri: false };
  assert.deepEqual(http({ forwardClientCertDetails: "APPEND_FORWARD" }).clientCertDetails, none);
  assert.deepEqual(
    http({ forwardClientCertDetails: "SANITIZE_SET", setCurrentClientCertDetails: { chain: true } }).clientCertDetails,
    { ...none, chain: true },
  );
});
