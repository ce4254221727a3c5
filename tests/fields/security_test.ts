import { fieldTests, row } from "./field_table.ts";

const strict = "mtls: { mode: STRICT }";

fieldTests({
  kind: "PeerAuthentication",
  apiVersion: "security.istio.io/v1",
  rows: [
    row("mtls.mode", `{ ${strict} }`, { vanishes: `"transportProtocol":"raw_buffer"` }),
    row("selector.matchLabels.{}", `{ selector: { matchLabels: { app: nobody } }, ${strict} }`, {
      appears: `"transportProtocol":"raw_buffer"`,
    }),
    row(
      "portLevelMtls.{}.mode",
      "{ selector: { matchLabels: { app: reviews } }, mtls: { mode: STRICT }, portLevelMtls: { 9080: { mode: PERMISSIVE } } }",
      `"transportProtocol":"raw_buffer"`,
      `
apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: { name: default, namespace: istio-system }
spec: { ${strict} }
`,
    ),
  ],
});

/** Values of a field and what comes of them in the policy of the RBAC filter. */
type Source = [field: string, value: string, fragment: string];

const sources: Source[] = [
  ["principals", "cluster.local/ns/mine/sa/x", "/ns/mine/sa/x"],
  ["namespaces", "mine", "mine"],
  ["serviceAccounts", "mine/x", "mine"],
  ["trustDomains", "mine.example", "spiffe://mine"],
  ["ipBlocks", "10.77.0.0/16", `"addressPrefix":"10.77.0.0"`],
  ["remoteIpBlocks", "10.77.0.0/16", `"remoteIp":{"addressPrefix":"10.77.0.0"`],
];

const operations: Source[] = [
  ["hosts", "mine.example", "mine.example"],
  ["ports", "9080", `"permissions":[{"andRules"`],
  ["methods", "PATCH", "PATCH"],
  ["paths", "/mine", "/mine"],
];

const mine = `
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: { name: mine }
spec:
  hosts: [productpage.default.svc.cluster.local]
  ports: [{ number: 9080, name: http, protocol: HTTP }]
  resolution: STATIC
`;

const twin = (field: string) => `not${field[0].toUpperCase()}${field.slice(1)}`;
const rules = (rule: string) => `{ rules: [{ ${rule} }] }`;
const when = (condition: string) => rules(`from: [{ source: { namespaces: [a] } }], when: [{ ${condition} }]`);

fieldTests({
  kind: "AuthorizationPolicy",
  apiVersion: "security.istio.io/v1",
  rows: [
    row("selector.matchLabels.{}", `{ selector: { matchLabels: { app: nobody } }, rules: [{}] }`, {
      vanishes: `"name":"envoy.filters.http.rbac"`,
    }),
    row("action", `{ action: DENY, rules: [{}] }`, `"action":"DENY"`),
    ...sources.flatMap(([field, value, fragment]) => [
      row(`rules[].from[].source.${field}[]`, rules(`from: [{ source: { ${field}: ["${value}"] } }]`), fragment),
      row(
        `rules[].from[].source.${twin(field)}[]`,
        rules(`from: [{ source: { ${twin(field)}: ["${value}"] } }]`),
        fragment,
      ),
    ]),
    ...operations.flatMap(([field, value, fragment]) => [
      row(`rules[].to[].operation.${field}[]`, rules(`to: [{ operation: { ${field}: ["${value}"] } }]`), fragment),
      row(
        `rules[].to[].operation.${twin(field)}[]`,
        rules(`to: [{ operation: { ${twin(field)}: ["${value}"] } }]`),
        fragment,
      ),
    ]),
    row("rules[].when[].key", when(`key: "request.headers[x-mine]", values: [a]`), `"name":"x-mine"`),
    row(
      "rules[].when[].values[]",
      when(`key: source.ip, values: [10.77.0.0/16], notValues: [10.78.0.0/16]`),
      `10.77.0.0`,
    ),
    row(
      "rules[].when[].notValues[]",
      when(`key: source.ip, values: [10.77.0.0/16], notValues: [10.78.0.0/16]`),
      `10.78.0.0`,
    ),
    row("rules[].from[].source.requestPrincipals[]", rules(`from: [{ source: { requestPrincipals: ["*"] } }]`), {
      warns: /Token/,
    }),
    row("rules[].from[].source.notRequestPrincipals[]", rules(`from: [{ source: { notRequestPrincipals: ["*"] } }]`), {
      warns: /Token/,
    }),
    row(
      "provider.name",
      `{ action: CUSTOM, provider: { name: mine }, rules: [{}] }`,
      `"name":"envoy.filters.http.rbac"`,
    ),
    ...["targetRef", "targetRefs[]"].flatMap((field) => {
      const spec = (reference: string) =>
        field === "targetRef"
          ? `{ targetRef: { ${reference} }, rules: [{}] }`
          : `{ targetRefs: [{ ${reference} }], rules: [{}] }`;
      return [
        row(
          `${field}.group`,
          spec("group: networking.istio.io, kind: ServiceEntry, name: mine"),
          `"name":"envoy.filters.http.rbac"`,
          mine,
        ),
        row(`${field}.kind`, spec(`group: "", kind: Deployment, name: reviews`), { refuses: /Service/ }),
        row(`${field}.name`, spec(`group: "", kind: Service, name: reviews`), `"name":"envoy.filters.http.rbac"`),
        row(`${field}.namespace`, spec(`group: "", kind: Service, name: reviews, namespace: other`), {
          refuses: /namespace|empty/,
        }),
      ];
    }),
  ],
});
