import assert from "node:assert/strict";
import { type Caller, type Protocol, SecuredWorkload } from "./secured_workload.ts";

const productpage: Caller = { serviceAccount: "bookinfo-productpage" };
const ratings: Caller = { serviceAccount: "bookinfo-ratings" };
const stranger: Caller = { namespace: "shop", serviceAccount: "cart" };
const protocols: Protocol[] = ["h1", "h2"];

function policy(spec: string, name = "guard", more = ""): string {
  return `
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: { name: ${name}, namespace: default${more} }
spec: ${spec}
`;
}

const allow = (rule: string) => policy(`{ rules: [ ${rule} ] }`);
const deny = (rule: string) => policy(`{ action: DENY, rules: [ ${rule} ] }`);

Deno.test("a caller that no rule allows is answered with 403 and reaches no application, over HTTP/1.1 and HTTP/2", async () => {
  await using secured = await SecuredWorkload.start(
    allow("{ from: [ { source: { principals: [ cluster.local/ns/default/sa/bookinfo-productpage ] } } ] }"),
  );
  for (const protocol of protocols) {
    assert.equal(await secured.status(productpage, protocol, "/"), 200);
    const before = secured.backend.requests;
    const refused = await secured.request(ratings, protocol, "/");
    assert.equal(refused.status, 403);
    assert.equal(refused.body, "RBAC: access denied");
    assert.equal(await secured.status(null, protocol, "/"), 403, "without an identity");
    assert.equal(secured.backend.requests, before);
  }
});

Deno.test("gRPC callers read a denial as PERMISSION_DENIED", async () => {
  await using secured = await SecuredWorkload.start(policy("{}"));
  const { status, headers } = await secured.request(productpage, "h2", "/a.Service/Call", {
    method: "POST",
    headers: [["content-type", "application/grpc"], ["te", "trailers"]],
  });
  assert.equal(status, 200);
  assert.equal(headers.get("grpc-status"), "7");
  assert.equal(headers.get("grpc-message"), "RBAC: access denied");
});

Deno.test("what is denied stays denied whatever allows it; without ALLOW policies the rest is allowed", async () => {
  const denied = deny("{ to: [ { operation: { methods: [ DELETE ] } } ] }");
  await using secured = await SecuredWorkload.start(denied);
  for (const protocol of protocols) {
    assert.equal(await secured.status(productpage, protocol, "/"), 200);
    assert.equal(await secured.status(productpage, protocol, "/", { method: "DELETE" }), 403);
  }
  await secured.apply(denied + policy("{ rules: [ {} ] }", "all"));
  for (const protocol of protocols) {
    assert.equal(await secured.status(ratings, protocol, "/"), 200);
    assert.equal(await secured.status(ratings, protocol, "/", { method: "DELETE" }), 403);
  }
});

/** Rules, what they are asked, and whether they match. */
const cases: {
  rule: string;
  caller?: Caller;
  path?: string;
  method?: string;
  host?: string;
  headers?: [string, string][];
  matches: boolean;
}[] = [
  { rule: "{ from: [ { source: { namespaces: [ default ] } } ] }", matches: true },
  { rule: "{ from: [ { source: { namespaces: [ default ] } } ] }", caller: stranger, matches: false },
  { rule: "{ from: [ { source: { notNamespaces: [ default ] } } ] }", caller: stranger, matches: true },
  { rule: '{ from: [ { source: { namespaces: [ "d*t" ] } } ] }', matches: true },
  { rule: '{ from: [ { source: { namespaces: [ "defaul." ] } } ] }', matches: false },
  { rule: '{ from: [ { source: { namespaces: [ ".*" ] } } ] }', matches: false },
  { rule: '{ from: [ { source: { namespaces: [ "default|shop" ] } } ] }', caller: stranger, matches: false },
  { rule: "{ from: [ { source: { serviceAccounts: [ bookinfo-productpage ] } } ] }", matches: true },
  { rule: "{ from: [ { source: { serviceAccounts: [ shop/cart ] } } ] }", caller: stranger, matches: true },
  { rule: "{ from: [ { source: { serviceAccounts: [ cart ] } } ] }", caller: stranger, matches: false },
  { rule: "{ from: [ { source: { notServiceAccounts: [ shop/cart ] } } ] }", caller: stranger, matches: false },
  { rule: "{ from: [ { source: { trustDomains: [ cluster.local ] } } ] }", matches: true },
  { rule: "{ from: [ { source: { trustDomains: [ other.local ] } } ] }", matches: false },
  { rule: '{ from: [ { source: { principals: [ "*" ] } } ] }', matches: true },
  { rule: '{ from: [ { source: { principals: [ "cluster.local/ns/shop/*" ] } } ] }', caller: stranger, matches: true },
  { rule: '{ from: [ { source: { principals: [ "*/sa/cart" ] } } ] }', caller: stranger, matches: true },
  { rule: '{ from: [ { source: { notPrincipals: [ "*/sa/cart" ] } } ] }', caller: stranger, matches: false },
  { rule: "{ from: [ { source: { ipBlocks: [ 127.0.0.0/8 ] } } ] }", matches: true },
  { rule: "{ from: [ { source: { notIpBlocks: [ 127.0.0.0/8 ] } } ] }", matches: false },
  { rule: "{ from: [ { source: { remoteIpBlocks: [ 10.1.0.0/16 ] } } ] }", matches: false },
  {
    rule: "{ from: [ { source: { remoteIpBlocks: [ 10.1.0.0/16 ] } } ] }",
    headers: [["x-forwarded-for", "192.0.2.1, 10.1.2.3"]],
    matches: true,
  },
  {
    rule: "{ from: [ { source: { remoteIpBlocks: [ 10.1.0.0/16 ] } } ] }",
    headers: [["x-forwarded-for", "10.1.2.3, 192.0.2.1"]],
    matches: false,
  },
  { rule: "{ to: [ { operation: { methods: [ GET ] } } ] }", matches: true },
  { rule: "{ to: [ { operation: { notMethods: [ GET ] } } ] }", matches: false },
  { rule: "{ to: [ { operation: { hosts: [ reviews ] } } ] }", host: "REVIEWS", matches: true },
  { rule: '{ to: [ { operation: { hosts: [ "*.example.com" ] } } ] }', host: "a.example.com", matches: true },
  { rule: "{ to: [ { operation: { notHosts: [ reviews ] } } ] }", matches: false },
  { rule: '{ to: [ { operation: { ports: [ "PORT" ] } } ] }', matches: true },
  { rule: '{ to: [ { operation: { notPorts: [ "PORT" ] } } ] }', matches: false },
  { rule: "{ to: [ { operation: { paths: [ /a ] } } ] }", path: "/a?b=c", matches: true },
  { rule: '{ to: [ { operation: { paths: [ "/a/*" ] } } ] }', path: "/a/b", matches: true },
  { rule: '{ to: [ { operation: { paths: [ "*.png" ] } } ] }', path: "/x.png?y", matches: true },
  { rule: "{ to: [ { operation: { notPaths: [ /a ] } } ] }", path: "/b", matches: true },
  { rule: '{ to: [ { operation: { paths: [ "/u/{*}/f" ] } } ] }', path: "/u/1/f", matches: true },
  { rule: '{ to: [ { operation: { paths: [ "/u/{*}/f" ] } } ] }', path: "/u/1/2/f", matches: false },
  { rule: '{ to: [ { operation: { paths: [ "/u/{**}" ] } } ] }', path: "/u/1/2/f", matches: true },
  {
    rule: '{ when: [ { key: "request.headers[X-Kind]", values: [ a ] } ] }',
    headers: [["x-kind", "a"]],
    matches: true,
  },
  { rule: '{ when: [ { key: "request.headers[x-kind]", values: [ a ] } ] }', matches: false },
  {
    rule: '{ when: [ { key: "request.headers[x-kind]", notValues: [ a ] } ] }',
    headers: [["x-kind", "b"]],
    matches: true,
  },
  {
    rule: '{ when: [ { key: "request.headers[x-kind]", values: [ "*" ] } ] }',
    headers: [["x-kind", ""]],
    matches: true,
  },
  { rule: "{ when: [ { key: source.ip, values: [ 127.0.0.1 ] } ] }", matches: true },
  { rule: "{ when: [ { key: remote.ip, notValues: [ 127.0.0.1 ] } ] }", matches: false },
  { rule: "{ when: [ { key: source.namespace, values: [ shop ] } ] }", matches: false },
  {
    rule: "{ when: [ { key: source.principal, values: [ cluster.local/ns/shop/sa/cart ] } ] }",
    caller: stranger,
    matches: true,
  },
  { rule: "{ when: [ { key: source.serviceAccount, values: [ shop/cart ] } ] }", caller: stranger, matches: true },
  { rule: "{ when: [ { key: destination.ip, values: [ 127.0.0.1 ] } ] }", matches: true },
  { rule: '{ when: [ { key: destination.port, notValues: [ "PORT" ] } ] }', matches: false },
  { rule: '{ when: [ { key: connection.sni, values: [ "outbound_.PORT_*" ] } ] }', matches: true },
  { rule: "{ when: [ { key: connection.sni, values: [ reviews ] } ] }", matches: false },
];

Deno.test("every field of a rule admits and refuses as it says, over HTTP/1.1 and HTTP/2", async () => {
  await using secured = await SecuredWorkload.start("");
  for (const { rule, caller = productpage, path = "/", matches, ...request } of cases) {
    for (const [action, policies] of [["ALLOW", allow(rule)], ["DENY", deny(rule)]] as const) {
      await secured.apply(policies);
      for (const protocol of protocols) {
        const expected = matches === (action === "ALLOW") ? 200 : 403;
        const status = await secured.status(caller, protocol, path, request);
        assert.equal(status, expected, `${action} ${rule} ${protocol} ${path} ${JSON.stringify(request)}`);
      }
    }
  }
});

Deno.test("a rule that refuses a path is not escaped by another spelling of it", async () => {
  await using secured = await SecuredWorkload.start(
    deny('{ to: [ { operation: { paths: [ /admin, "/admin/*" ] } } ] }'),
    {
      meshYaml: "pathNormalization: { normalization: DECODE_AND_MERGE_SLASHES }\n",
    },
  );
  const spellings = ["/admin", "/admin?a", "//admin", "/./admin", "/x/../admin", "/%61dmin", "/admin%2fx", "/admin/"];
  for (const protocol of protocols) {
    for (const path of spellings) {
      assert.notEqual(await secured.status(productpage, protocol, path), 200, `${protocol} ${path}`);
    }
  }
  assert.equal(secured.backend.requests, 0);
});

Deno.test("a rule that refuses a host is not escaped by its case, port or final dot", async () => {
  await using secured = await SecuredWorkload.start(deny("{ to: [ { operation: { hosts: [ admin.example ] } } ] }"));
  for (const protocol of protocols) {
    for (const host of ["admin.example", "ADMIN.example", "admin.example:80", "admin.example.", "admin.example.:80"]) {
      assert.notEqual(await secured.status(productpage, protocol, "/", { host }), 200, `${protocol} ${host}`);
    }
    assert.equal(await secured.status(productpage, protocol, "/", { host: "user.example" }), 200);
  }
});

Deno.test("of a header that comes twice a rule that refuses asks any value, one that admits asks all", async () => {
  const rule = '{ when: [ { key: "request.headers[x-role]", values: [ admin ] } ] }';
  const both: [string, string][] = [["x-role", "user"], ["x-role", "admin"]];
  await using secured = await SecuredWorkload.start(deny(rule));
  for (const protocol of protocols) {
    assert.equal(await secured.status(productpage, protocol, "/", { headers: both }), 403);
    assert.equal(await secured.status(productpage, protocol, "/", { headers: [["x-role", "user"]] }), 200);
  }
  await secured.apply(allow(rule));
  for (const protocol of protocols) {
    assert.equal(await secured.status(productpage, protocol, "/", { headers: both }), 403);
    assert.equal(await secured.status(productpage, protocol, "/", { headers: [["x-role", "admin"]] }), 200);
  }
});

Deno.test("who has no identity of the mesh speaks for no other address", async () => {
  await using secured = await SecuredWorkload.start(
    allow("{ from: [ { source: { remoteIpBlocks: [ 10.0.0.0/8 ] } } ] }"),
  );
  for (const protocol of protocols) {
    const headers: [string, string][] = [["x-forwarded-for", "10.1.2.3"]];
    assert.equal(await secured.status(null, protocol, "/", { headers }), 403);
    assert.equal(await secured.status(productpage, protocol, "/", { headers }), 200);
  }
});

Deno.test("the application learns the caller from its certificate, and from no header of a stranger", async () => {
  await using secured = await SecuredWorkload.start("");
  const forged: [string, string][] = [["x-forwarded-client-cert", "URI=spiffe://cluster.local/ns/default/sa/admin"]];
  for (const protocol of protocols) {
    assert.equal(JSON.parse((await secured.request(null, protocol, "/", { headers: forged })).body).caller, null);
    const { caller } = JSON.parse((await secured.request(productpage, protocol, "/", { headers: forged })).body);
    // Istio's APPEND_FORWARD: what the mesh's workload says stays, the last element is who it is.
    assert.match(caller.split(",").at(-1), /URI=spiffe:\/\/cluster\.local\/ns\/default\/sa\/bookinfo-productpage$/);
  }
});

Deno.test("policies of the root namespace and of selectors apply to whom they select; dry runs deny nothing", async () => {
  const everywhere = policy("{ action: DENY, rules: [ { to: [ { operation: { paths: [ /x ] } } ] } ] }")
    .replace("namespace: default", "namespace: istio-system");
  await using secured = await SecuredWorkload.start(everywhere);
  assert.equal(await secured.status(productpage, "h1", "/x"), 403);
  await secured.apply(everywhere.replace("namespace: istio-system", "namespace: shop"));
  assert.equal(await secured.status(productpage, "h1", "/x"), 200, "of another namespace");
  await secured.apply(policy("{ selector: { matchLabels: { app: ratings } } }"));
  assert.equal(await secured.status(productpage, "h1", "/"), 200, "for other workloads");
  await secured.apply(policy("{ selector: { matchLabels: { app: reviews } } }"));
  assert.equal(await secured.status(productpage, "h1", "/"), 403);
  await secured.apply(policy("{ targetRefs: [ { kind: Service, name: reviews } ] }"));
  assert.equal(await secured.status(productpage, "h1", "/"), 403);
  await secured.apply(policy("{ targetRefs: [ { kind: Service, name: ratings } ] }"));
  assert.equal(await secured.status(productpage, "h1", "/"), 200);
  await secured.apply(policy("{}", "guard", ', annotations: { "istio.io/dry-run": "true" }'));
  assert.equal(await secured.status(productpage, "h1", "/"), 200, "a dry run");
});

Deno.test("former names of the trust domain mean the mesh", async () => {
  const rule = allow("{ from: [ { source: { principals: [ old.example/ns/default/sa/bookinfo-productpage ] } } ] }");
  await using secured = await SecuredWorkload.start(rule);
  assert.equal(await secured.status(productpage, "h2", "/"), 403);
  await using aliased = await SecuredWorkload.start(rule, { meshYaml: "trustDomainAliases: [ old.example ]\n" });
  assert.equal(await aliased.status(productpage, "h2", "/"), 200);
  assert.equal(await aliased.status(ratings, "h2", "/"), 403);
});

Deno.test("what asks for tokens, audits or other authorizers denies until it is in force", async () => {
  await using secured = await SecuredWorkload.start(
    allow('{ from: [ { source: { requestPrincipals: [ "*" ] } } ] }'),
  );
  const token: { headers: [string, string][] } = { headers: [["authorization", "Bearer e30.e30.e30"]] };
  for (const protocol of protocols) {
    await secured.apply(allow('{ from: [ { source: { requestPrincipals: [ "*" ] } } ] }'));
    assert.equal(await secured.status(productpage, protocol, "/", token), 403);
    await secured.apply(
      deny('{ from: [ { source: { notRequestPrincipals: [ "*" ] } } ], to: [ { operation: { paths: [ /x ] } } ] }'),
    );
    assert.equal(await secured.status(productpage, protocol, "/x", token), 403);
    assert.equal(await secured.status(productpage, protocol, "/y", token), 200);
    await secured.apply(policy("{ action: AUDIT, rules: [ { to: [ { operation: { paths: [ /x ] } } ] } ] }"));
    assert.equal(await secured.status(productpage, protocol, "/x"), 403);
    assert.equal(await secured.status(productpage, protocol, "/y"), 200);
    await secured.apply(
      policy("{ action: CUSTOM, provider: { name: opa }, rules: [ { to: [ { operation: { paths: [ /x ] } } ] } ] }"),
    );
    assert.equal(await secured.status(productpage, protocol, "/x"), 403);
    assert.equal(await secured.status(productpage, protocol, "/y"), 200);
    await secured.apply(`
apiVersion: security.istio.io/v1
kind: RequestAuthentication
metadata: { name: tokens }
spec: { jwtRules: [ { issuer: https://issuer.example, jwksUri: https://issuer.example/keys } ] }
`);
    assert.equal(await secured.status(productpage, protocol, "/"), 200, "without a token");
    assert.equal(await secured.status(productpage, protocol, "/", token), 403);
    assert.equal(await secured.status(productpage, protocol, "/?access_token=e30.e30.e30"), 403);
  }
});
