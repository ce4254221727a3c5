import { fieldTests, type Row, row } from "./field_table.ts";

const subsets = `
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: { name: reviews }
spec: { host: reviews, subsets: [{ name: v1, labels: { version: v1 } }, { name: v2, labels: { version: v2 } }] }
`;

const gateway = `
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: { name: ingress }
spec:
  selector: { istio: ingressgateway }
  servers:
    - { port: { number: 8080, name: http, protocol: HTTP }, hosts: ["*"] }
    - { port: { number: 8443, name: tls, protocol: TLS }, hosts: ["*"], tls: { mode: PASSTHROUGH } }
    - { port: { number: 9000, name: tcp, protocol: TCP }, hosts: ["*"] }
`;

const delegate = (namespace: string) => `
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: { name: part, namespace: ${namespace} }
spec: { http: [{ name: delegated, route: [{ destination: { host: reviews.default.svc.cluster.local } }] }] }
`;

const to = "route: [{ destination: { host: reviews } }]";

/** A row for a field of the only HTTP route of reviews, given as the route's YAML. */
function http(field: string, route: string, expect: Row["expect"] | string, beside = subsets): Row {
  return row(`http[].${field}`, `{ hosts: [reviews], http: [{ ${route} }] }`, expect, beside);
}

function match(field: string, block: string, expect: Row["expect"] | string): Row {
  return http(`match[].${field}`, `match: [{ ${block} }], ${to}`, expect);
}

fieldTests({
  kind: "VirtualService",
  apiVersion: "networking.istio.io/v1",
  rows: [
    row("hosts[]", `{ hosts: [reviews], http: [{ name: mine, ${to} }] }`, `"name":"mine"`),
    row(
      "gateways[]",
      `{ hosts: [a.example.com], gateways: [ingress], http: [{ ${to} }] }`,
      `"a.example.com:8080"`,
      gateway,
    ),
    row("exportTo[]", `{ hosts: [reviews], exportTo: [nowhere], http: [{ name: mine, ${to} }] }`, {
      vanishes: `"name":"mine"`,
    }),
    http("name", `name: mine, ${to}`, `"name":"mine"`),
    http("timeout", `timeout: 2s, ${to}`, `"timeout":"2s"`),

    ...(["exact", "prefix", "regex"] as const).flatMap((kind) => {
      const pattern = kind === "regex" ? `"safeRegex":{"regex":"xyz"}` : `"${kind}":"xyz"`;
      const header = (name: string) => `{"name":"${name}","stringMatch":{${pattern}}}`;
      return [
        match(`uri.${kind}`, `uri: { ${kind}: /xyz }`, {
          appears: kind === "exact"
            ? `"path":"/xyz"`
            : kind === "prefix"
            ? `"prefix":"/xyz"`
            : `"safeRegex":{"regex":"/xyz"}`,
        }),
        match(`method.${kind}`, `method: { ${kind}: xyz }`, header(":method")),
        match(`authority.${kind}`, `authority: { ${kind}: xyz }`, header(":authority")),
        match(`scheme.${kind}`, `scheme: { ${kind}: xyz }`, header(":scheme")),
        match(`headers.{}.${kind}`, `headers: { x-a: { ${kind}: xyz } }`, header("x-a")),
        match(
          `withoutHeaders.{}.${kind}`,
          `withoutHeaders: { x-a: { ${kind}: xyz } }`,
          `{"invertMatch":true,"name":"x-a","stringMatch":{${pattern}},"treatMissingHeaderAsEmpty":true}`,
        ),
        match(
          `queryParams.{}.${kind}`,
          `queryParams: { a: { ${kind}: xyz } }`,
          `{"name":"a","stringMatch":{${pattern}}}`,
        ),
        http(
          `corsPolicy.allowOrigins[].${kind}`,
          `corsPolicy: { allowOrigins: [{ ${kind}: xyz }] }, ${to}`,
          `"allowOriginStringMatch":[{${pattern}}]`,
        ),
      ];
    }),
    match("name", `name: mine, uri: { prefix: / }`, `"name":".mine"`),
    match("ignoreUriCase", `uri: { prefix: /x }, ignoreUriCase: true`, `"caseSensitive":false`),
    match("port", `port: 1, uri: { prefix: /x }`, { vanishes: `"prefix":"/x"` }),
    match("sourceLabels.{}", `sourceLabels: { app: nobody }, uri: { prefix: /x }`, { vanishes: `"prefix":"/x"` }),
    match("sourceNamespace", `sourceNamespace: nobody, uri: { prefix: /x }`, { vanishes: `"prefix":"/x"` }),
    match("gateways[]", `gateways: [ingress], uri: { prefix: /x }`, { vanishes: `"prefix":"/x"` }),
    match("statPrefix", `statPrefix: mine, uri: { prefix: /x }`, `"statPrefix":"mine"`),

    http("route[].destination.host", `name: mine, ${to}`, `"name":"mine"`),
    http(
      "route[].destination.subset",
      "route: [{ destination: { host: reviews, subset: v1 } }]",
      `"cluster":"outbound|9080|v1|reviews.default.svc.cluster.local","`,
    ),
    http(
      "route[].destination.port.number",
      "route: [{ destination: { host: outside.example.com, port: { number: 80 } } }]",
      // Without it the port is that of the request.
      { vanishes: `"cluster":"outbound|9080||outside.example.com"` },
    ),
    http(
      "route[].weight",
      "route: [{ destination: { host: reviews, subset: v1 }, weight: 7 }, { destination: { host: reviews, subset: v2 }, weight: 3 }]",
      `"weight":7`,
    ),
    ...(["request", "response"] as const).flatMap((side) => [
      http(`headers.${side}.add.{}`, `headers: { ${side}: { add: { x-new: a } } }, ${to}`, `"key":"x-new","value":"a"`),
      http(`headers.${side}.set.{}`, `headers: { ${side}: { set: { x-new: a } } }, ${to}`, `"key":"x-new","value":"a"`),
      http(
        `headers.${side}.remove[]`,
        `headers: { ${side}: { remove: [x-old] } }, ${to}`,
        `"${side}HeadersToRemove":["x-old"]`,
      ),
      ...["add", "set"].map((operation) =>
        http(
          `route[].headers.${side}.${operation}.{}`,
          `route: [{ destination: { host: reviews }, headers: { ${side}: { ${operation}: { x-new: a } } } }]`,
          `"key":"x-new","value":"a"`,
        )
      ),
      http(
        `route[].headers.${side}.remove[]`,
        `route: [{ destination: { host: reviews }, headers: { ${side}: { remove: [x-old] } } }]`,
        `"${side}HeadersToRemove":["x-old"]`,
      ),
    ]),

    http("redirect.uri", `redirect: { uri: /new, authority: a }`, `"pathRedirect":"/new"`),
    http(
      "redirect.prefixRewrite",
      `match: [{ uri: { prefix: /a } }], redirect: { prefixRewrite: /b, authority: a }`,
      `"prefixRewrite":"/b"`,
    ),
    http("redirect.authority", `redirect: { uri: /new, authority: a.example.com }`, `"hostRedirect":"a.example.com"`),
    http("redirect.scheme", `redirect: { uri: /new, scheme: https }`, `"schemeRedirect":"https"`),
    http("redirect.port", `redirect: { uri: /new, port: 8443 }`, `"portRedirect":8443`),
    http("redirect.derivePort", `redirect: { uri: /new, derivePort: FROM_REQUEST_PORT }`, `"portRedirect":9080`),
    http("redirect.redirectCode", `redirect: { uri: /new, redirectCode: 307 }`, `"responseCode":"TEMPORARY_REDIRECT"`),
    http("directResponse.status", `directResponse: { status: 418 }`, `"directResponse":{"status":418}`),
    http(
      "directResponse.body.string",
      `directResponse: { status: 418, body: { string: tea } }`,
      `"inlineString":"tea"`,
    ),
    http("directResponse.body.bytes", `directResponse: { status: 418, body: { bytes: dGVh } }`, `"inlineBytes":"dGVh"`),
    http("delegate.name", "delegate: { name: part }", `"name":"delegated"`, delegate("default")),
    http("delegate.namespace", "delegate: { name: part, namespace: other }", `"name":"delegated"`, delegate("other")),

    http("rewrite.uri", `rewrite: { uri: /new, authority: a }, ${to}`, `"prefixRewrite":"/new"`),
    http("rewrite.authority", `rewrite: { authority: a.example.com }, ${to}`, `"hostRewriteLiteral":"a.example.com"`),
    http(
      "rewrite.uriRegexRewrite.match",
      `rewrite: { uriRegexRewrite: { match: "/a(.*)", rewrite: '/b\\1' } }, ${to}`,
      `"regex":"/a(.*)"`,
    ),
    http(
      "rewrite.uriRegexRewrite.rewrite",
      `rewrite: { uriRegexRewrite: { match: "/a(.*)", rewrite: '/b\\1' } }, ${to}`,
      `"substitution":"/b\\\\1"`,
    ),

    http("retries.attempts", `retries: { attempts: 7 }, ${to}`, `"numRetries":7`),
    http("retries.perTryTimeout", `retries: { attempts: 2, perTryTimeout: 3s }, ${to}`, `"perTryTimeout":"3s"`),
    http("retries.retryOn", `retries: { attempts: 2, retryOn: gateway-error }, ${to}`, `"retryOn":"gateway-error"`),
    http("retries.backoff", `retries: { attempts: 2, backoff: 77ms }, ${to}`, `"baseInterval":"0.077s"`),
    http(
      "retries.retryIgnorePreviousHosts",
      `retries: { attempts: 7, retryIgnorePreviousHosts: false }, ${to}`,
      { vanishes: `"numRetries":7,"retriableStatusCodes":[503],"retryHostPredicate"` },
    ),
    http(
      "retries.retryRemoteLocalities",
      `retries: { attempts: 2, retryRemoteLocalities: true }, ${to}`,
      `"name":"envoy.retry_priorities.previous_priorities"`,
    ),

    http(
      "fault.delay.fixedDelay",
      `fault: { delay: { fixedDelay: 5s, percentage: { value: 1 } } }, ${to}`,
      `"fixedDelay":"5s"`,
    ),
    http(
      "fault.delay.percentage.value",
      `fault: { delay: { fixedDelay: 5s, percentage: { value: 1 } } }, ${to}`,
      `"numerator":10000`,
    ),
    http("fault.delay.percent", `fault: { delay: { fixedDelay: 5s, percent: 7 } }, ${to}`, `"numerator":7`),
    http("fault.delay.exponentialDelay", `fault: { delay: { exponentialDelay: 5s } }, ${to}`, {
      refuses: /exponentialDelay|not/,
    }),
    http(
      "fault.abort.httpStatus",
      `fault: { abort: { httpStatus: 418, percentage: { value: 1 } } }, ${to}`,
      `"httpStatus":418`,
    ),
    http(
      "fault.abort.grpcStatus",
      `fault: { abort: { grpcStatus: UNAVAILABLE, percentage: { value: 1 } } }, ${to}`,
      `"grpcStatus":14`,
    ),
    http("fault.abort.http2Error", `fault: { abort: { http2Error: a } }, ${to}`, { refuses: /http2Error|not/ }),
    http(
      "fault.abort.percentage.value",
      `fault: { abort: { httpStatus: 418, percentage: { value: 1 } } }, ${to}`,
      `"numerator":10000`,
    ),

    http(
      "mirror.host",
      `mirror: { host: db }, ${to}`,
      `"cluster":"outbound|5432||db.default.svc.cluster.local","runtimeFraction"`,
    ),
    http("mirror.subset", `mirror: { host: reviews, subset: v2 }, ${to}`, `"cluster":"outbound|9080|v2|reviews`),
    http(
      "mirror.port.number",
      `mirror: { host: outside.example.com, port: { number: 80 } }, ${to}`,
      `"cluster":"outbound|80||outside.example.com","runtimeFraction"`,
    ),
    http(
      "mirrorPercentage.value",
      `mirror: { host: reviews }, mirrorPercentage: { value: 7 }, ${to}`,
      `"numerator":70000`,
    ),
    http("mirrorPercent", `mirror: { host: reviews }, mirrorPercent: 7, ${to}`, `"numerator":7`),
    http("mirror_percent", `mirror: { host: reviews }, mirror_percent: 7, ${to}`, `"numerator":7`),
    http(
      "mirrors[].destination.host",
      `mirrors: [{ destination: { host: db } }], ${to}`,
      `"cluster":"outbound|5432||db.default.svc.cluster.local","runtimeFraction"`,
    ),
    http(
      "mirrors[].destination.subset",
      `mirrors: [{ destination: { host: reviews, subset: v2 } }], ${to}`,
      `"cluster":"outbound|9080|v2|reviews`,
    ),
    http(
      "mirrors[].destination.port.number",
      `mirrors: [{ destination: { host: outside.example.com, port: { number: 80 } } }], ${to}`,
      `"cluster":"outbound|80||outside.example.com","runtimeFraction"`,
    ),
    http(
      "mirrors[].percentage.value",
      `mirrors: [{ destination: { host: reviews }, percentage: { value: 7 } }], ${to}`,
      `"numerator":70000`,
    ),

    http("corsPolicy.allowOrigin[]", `corsPolicy: { allowOrigin: [a.example.com] }, ${to}`, `"exact":"a.example.com"`),
    http("corsPolicy.allowMethods[]", `corsPolicy: { allowMethods: [PATCH] }, ${to}`, `"allowMethods":"PATCH"`),
    http("corsPolicy.allowHeaders[]", `corsPolicy: { allowHeaders: [x-a] }, ${to}`, `"allowHeaders":"x-a"`),
    http("corsPolicy.exposeHeaders[]", `corsPolicy: { exposeHeaders: [x-a] }, ${to}`, `"exposeHeaders":"x-a"`),
    http("corsPolicy.maxAge", `corsPolicy: { maxAge: 24h }, ${to}`, `"maxAge":"86400"`),
    http("corsPolicy.allowCredentials", `corsPolicy: { allowCredentials: true }, ${to}`, `"allowCredentials":true`),
    http(
      "corsPolicy.unmatchedPreflights",
      `corsPolicy: { allowMethods: [PATCH], unmatchedPreflights: IGNORE }, ${to}`,
      `"forwardNotMatchingPreflights":false`,
    ),

    ...[
      { list: "tls", host: "outside.example.com", port: 443, matched: "sniHosts: [outside.example.com], " },
      { list: "tcp", host: "db", port: 5432, matched: "" },
    ].flatMap(({ list, host, port, matched }) => {
      const rule = (block: string, destination = `{ destination: { host: db } }`) =>
        `{ hosts: [${host}], ${list}: [{ match: [{ ${matched}${block} }], route: [${destination}] }] }`;
      const routed = { vanishes: `"cluster":"outbound|5432|v9|db` };
      const marked = `{ destination: { host: db, subset: v9 } }`;
      const rules = `
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: { name: db }
spec: { host: db, subsets: [{ name: v9, labels: { version: v1 } }] }
`;
      return [
        row(`${list}[].match[].port`, rule("port: 1", marked), routed, rules),
        row(
          `${list}[].match[].destinationSubnets[]`,
          rule("destinationSubnets: [10.9.0.0/16]", marked),
          routed,
          rules,
        ),
        row(`${list}[].match[].sourceLabels.{}`, rule("sourceLabels: { app: nobody }", marked), routed, rules),
        row(`${list}[].match[].sourceNamespace`, rule("sourceNamespace: nobody", marked), routed, rules),
        row(`${list}[].match[].gateways[]`, rule("gateways: [ingress]", marked), routed, rules),
        row(
          `${list}[].route[].destination.host`,
          rule(`port: ${port}`, `{ destination: { host: reviews, subset: v9 } }`),
          `"cluster":"outbound|9080|v9|reviews.default.svc.cluster.local"`,
        ),
        row(
          `${list}[].route[].destination.subset`,
          rule(`port: ${port}`, marked),
          `"cluster":"outbound|5432|v9|db`,
          rules,
        ),
        row(
          `${list}[].route[].destination.port.number`,
          rule(`port: ${port}`, `{ destination: { host: outside.example.com, subset: v9, port: { number: 80 } } }`),
          `"cluster":"outbound|80|v9|outside.example.com","`,
        ),
        row(
          `${list}[].route[].weight`,
          rule(
            `port: ${port}`,
            `{ destination: { host: db }, weight: 7 }, { destination: { host: reviews }, weight: 3 }`,
          ),
          `"weight":7`,
        ),
      ];
    }),
    row(
      "tls[].match[].sniHosts[]",
      `{ hosts: ["*.example.com"], tls: [{ match: [{ port: 443, sniHosts: [outside.example.com] }], route: [{ destination: { host: db } }] }] }`,
      `"serverNames":["outside.example.com"]`,
    ),
    row(
      "tcp[].match[].sourceSubnet",
      `{ hosts: [db], tcp: [{ match: [{ sourceSubnet: 10.8.0.0/16 }], route: [{ destination: { host: reviews } }] }] }`,
      { warns: /not in force/ },
    ),
  ],
});
