import { type Expectation, fieldTests, row } from "./field_table.ts";

const notInForce: Expectation = { warns: /not in force/ };
const tracing = (fields: string) => `{ tracing: [{ ${fields} }] }`;
const metrics = (fields: string) => `{ metrics: [{ ${fields} }] }`;
const logging = (fields: string) => `{ accessLogging: [{ providers: [{ name: envoy }], ${fields} }] }`;
const dropped = (target: string) => `{ ${target}, ${metrics("overrides: [{ disabled: true }]").slice(1)}`;
const drop = `"istio.stats":{"metrics":[{"drop":true`;
const log = `"path":"/dev/stdout"`;
const tag = (value: string) =>
  metrics(`overrides: [{ match: { metric: REQUEST_SIZE }, tagOverrides: { "my.tag": { ${value} } } }]`);

/** A ServiceEntry to which a Telemetry is attached: its host is that of `reviews`. */
const entry = "group: networking.istio.io, kind: ServiceEntry, name: mine";
const entries = `
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: { name: mine }
spec: { hosts: [reviews.default.svc.cluster.local], ports: [{ number: 9080, name: http }], resolution: STATIC }
`;

fieldTests({
  kind: "Telemetry",
  apiVersion: "telemetry.istio.io/v1",
  rows: [
    row("accessLogging[].providers[].name", "{ accessLogging: [{ providers: [{ name: envoy }] }] }", log),
    row("accessLogging[].disabled", logging("disabled: true"), { vanishes: log }),
    row("accessLogging[].match.mode", logging("match: { mode: CLIENT }"), {
      vanishes: `${log}}}],"forwardClientCertDetails":"APPEND_FORWARD"`,
    }),
    row("accessLogging[].filter.expression", logging(`filter: { expression: "response.code >= 400" }`), {
      appears: `"expression":"response.code >= 400"`,
    }),
    row("accessLogging[].filter.expression", logging(`filter: { expression: "size(request.path) > 1" }`), notInForce),
    row("metrics[].overrides[].disabled", metrics("overrides: [{ disabled: true }]"), drop),
    row(
      "metrics[].overrides[].match.customMetric",
      metrics("overrides: [{ match: { customMetric: mine } }]"),
      notInForce,
    ),
    row(
      "metrics[].overrides[].match.metric",
      metrics("overrides: [{ match: { metric: REQUEST_SIZE }, disabled: true }]"),
      {
        appears: `${drop},"name":"request_bytes"}]`,
      },
    ),
    row(
      "metrics[].overrides[].match.metric",
      metrics("overrides: [{ match: { metric: GRPC_REQUEST_MESSAGES } }]"),
      notInForce,
    ),
    row("metrics[].overrides[].match.mode", metrics("overrides: [{ match: { mode: SERVER }, disabled: true }]"), {
      vanishes: `"response_messages_total"}]}}},"name":"http_proxy|127.0.0.1:15002"`,
    }),
    row("metrics[].overrides[].tagOverrides.{}.operation", tag("operation: REMOVE"), `"tags_to_remove":["my.tag"]`),
    row("metrics[].overrides[].tagOverrides.{}.value", tag(`value: "'eu'"`), `"dimensions":{"my.tag":"'eu'"}`),
    row("metrics[].overrides[].tagOverrides.{}.value", tag(`value: "request.host"`), notInForce),
    row("metrics[].providers[].name", metrics("providers: [{ name: other }], overrides: [{ disabled: true }]"), {
      vanishes: drop,
    }),
    row("metrics[].reportingInterval", metrics("reportingInterval: 5s"), notInForce),
    row("selector.matchLabels.{}", dropped("selector: { matchLabels: { app: nobody } }"), { vanishes: drop }),
    row("targetRef.kind", dropped("targetRef: { kind: Service, name: reviews }"), drop),
    row("targetRef.name", dropped("targetRef: { kind: Service, name: reviews }"), drop),
    row("targetRef.group", dropped(`targetRef: { ${entry} }`), drop, entries),
    row("targetRef.namespace", dropped("targetRef: { kind: Service, name: reviews, namespace: other }"), {
      refuses: /own namespace/,
    }),
    row("targetRefs[].kind", dropped("targetRefs: [{ kind: Service, name: reviews }]"), drop),
    row("targetRefs[].name", dropped("targetRefs: [{ kind: Service, name: reviews }]"), drop),
    row("targetRefs[].namespace", dropped("targetRefs: [{ kind: Service, name: reviews, namespace: other }]"), {
      refuses: /own namespace/,
    }),
    row("targetRefs[].group", dropped(`targetRefs: [{ ${entry} }]`), drop, entries),
    ...[
      ["customTags.{}.environment.defaultValue", "customTags: { a: { environment: { name: A, defaultValue: b } } }"],
      ["customTags.{}.environment.name", "customTags: { a: { environment: { name: A } } }"],
      ["customTags.{}.formatter.value", `customTags: { a: { formatter: { value: "%PROTOCOL%" } } }`],
      ["customTags.{}.header.defaultValue", "customTags: { a: { header: { name: a, defaultValue: b } } }"],
      ["customTags.{}.header.name", "customTags: { a: { header: { name: a } } }"],
      ["customTags.{}.literal.value", "customTags: { a: { literal: { value: b } } }"],
      ["disableContextPropagation", "disableContextPropagation: true"],
      ["disableSpanReporting", "disableSpanReporting: true"],
      ["enableIstioTags", "enableIstioTags: false"],
      ["match.mode", "match: { mode: CLIENT }"],
      ["providers[].name", "providers: [{ name: zipkin }]"],
      ["randomSamplingPercentage", "randomSamplingPercentage: 5"],
      ["useRequestIdForTraceSampling", "useRequestIdForTraceSampling: false"],
    ].map(([field, value]) => row(`tracing[].${field}`, tracing(value), notInForce)),
  ],
});

fieldTests({
  kind: "ProxyConfig",
  apiVersion: "networking.istio.io/v1beta1",
  rows: [
    row("concurrency", "{ concurrency: 2 }", notInForce),
    row("environmentVariables.{}", "{ environmentVariables: { A: b } }", notInForce),
    row("image.imageType", "{ image: { imageType: distroless } }", notInForce),
    row("selector.matchLabels.{}", "{ selector: { matchLabels: { app: a } }, concurrency: 1 }", notInForce),
  ],
});
