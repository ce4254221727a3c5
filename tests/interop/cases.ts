/**
 * The table of cases: rules for one host each, requests to it, and nothing else. Each request is made by both sides, and
 * both have to answer alike; `expect` says what, so that two wrong answers that agree are found too.
 */
export interface Case {
  name: string;
  /** The `http` of a VirtualService for the host `NAME.test`, in YAML; or whole resources. */
  http?: string;
  resources?: string;
  requests: CaseRequest[];
  /** What each side's requests bring to an application beside the answers. */
  arrives?: { app: "skiff" | "envoy"; path: string };
  /** Of so many requests of each side, the part that one application answers: five standard deviations either way. */
  share?: { app: "skiff" | "envoy"; of: number; least: number; most: number };
}

export interface CaseRequest {
  /** Default `/`. */
  path?: string;
  method?: string;
  headers?: Record<string, string>;
  body?: string;
  /** How often it is made, one after the other; default 1. */
  times?: number;
  expect: {
    status: number;
    /** Response flags of the caller's access log; default `-`. */
    flags?: string;
    /** The side whose application answers. */
    app?: string;
    /** What the application says reached it. */
    path?: string;
    host?: string;
    /** Of the request, as the application saw them; `null`: absent. */
    seen?: Record<string, string | null>;
    /** Of the response; `null`: absent. */
    headers?: Record<string, string | null>;
    body?: string;
  };
}

const to = (subset: string) => `route: [{ destination: { host: reviews, subset: ${subset}, port: { number: 9080 } } }]`;

/** What all cases share: subsets by side, and `reviews` itself by header. */
export const sharedRules = `
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: { name: reviews }
spec:
  host: reviews
  subsets: [ { name: skiff, labels: { version: skiff } }, { name: envoy, labels: { version: envoy } } ]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: { name: reviews }
spec:
  hosts: [reviews]
  http:
  - { match: [ { headers: { x-to: { exact: skiff } } } ], ${to("skiff")} }
  - { match: [ { headers: { x-to: { exact: envoy } } } ], ${to("envoy")} }
  - { route: [ { destination: { host: reviews } } ] }
`;

/** A policy for both applications, of which only this case's requests are. */
const policyOf = (name: string, action: string, rule: string) => `
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: { name: ${name}, namespace: default }
spec: { action: ${action}, rules: [ { ${rule}, when: [ { key: "request.headers[x-case]", values: [ ${name} ] } ] } ] }
`;

const bothSides = (name: string) => `
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: { name: ${name} }
spec:
  hosts: [${name}.test]
  http:
  - { match: [ { headers: { x-to: { exact: skiff } } } ], ${to("skiff")} }
  - { ${to("envoy")} }
`;

const denials = [
  { path: "/secret", status: 403 },
  { path: "/secret?a=b", status: 403 },
  { path: "/u/1/files/a/b", status: 403 },
  { path: "/u/1/2/files/a", status: 200 },
  { path: "/open", status: 200 },
];

export const cases: Case[] = [
  {
    name: "policy-deny",
    resources: `${bothSides("policy-deny")}---${
      policyOf("policy-deny", "DENY", 'to: [ { operation: { paths: [ /secret, "/u/{*}/files/{**}" ] } } ]')
    }`,
    requests: denials.flatMap(({ path, status }) =>
      ["skiff", "envoy"].map((app) => ({
        path,
        headers: { "x-to": app },
        expect: status === 403 ? { status, body: "RBAC: access denied" } : { status, app },
      }))
    ),
  },
  {
    name: "policy-deny-namespace",
    resources: `${bothSides("policy-deny-namespace")}---${
      policyOf("policy-deny-namespace", "DENY", 'from: [ { source: { namespaces: [ "d*t" ] } } ]')
    }`,
    requests: ["skiff", "envoy"].map((app) => ({
      headers: { "x-to": app },
      expect: { status: 403, body: "RBAC: access denied" },
    })),
  },
  {
    name: "header",
    http: `
- { match: [ { headers: { x-user: { exact: jason } } } ], ${to("envoy")} }
- { match: [ { headers: { x-user: { prefix: j } }, uri: { regex: "/a+/[0-9]{2}" } } ], ${to("envoy")} }
- { ${to("skiff")} }`,
    requests: [
      { headers: { "x-user": "jason" }, expect: { status: 200, app: "envoy" } },
      { headers: { "x-user": "jane" }, path: "/aaa/12?x=1", expect: { status: 200, app: "envoy" } },
      { headers: { "x-user": "jane" }, path: "/aaa/123", expect: { status: 200, app: "skiff" } },
      { expect: { status: 200, app: "skiff" } },
    ],
  },
  {
    name: "match",
    http: `
- { match: [ { uri: { prefix: /Path }, ignoreUriCase: true, method: { exact: PUT } } ], ${to("envoy")} }
- { match: [ { queryParams: { v: { exact: "2" } } } ], ${to("envoy")} }
- { match: [ { withoutHeaders: { x-plain: {} }, uri: { exact: /exact } } ], ${to("envoy")} }
- { ${to("skiff")} }`,
    requests: [
      { path: "/path/x", method: "PUT", body: "b", expect: { status: 200, app: "envoy" } },
      { path: "/path/x", expect: { status: 200, app: "skiff" } },
      { path: "/q?v=2", expect: { status: 200, app: "envoy" } },
      { path: "/q?v=22", expect: { status: 200, app: "skiff" } },
      { path: "/exact", expect: { status: 200, app: "envoy" } },
      { path: "/exact", headers: { "x-plain": "1" }, expect: { status: 200, app: "skiff" } },
    ],
  },
  {
    name: "weights",
    http: `
- route:
  - { destination: { host: reviews, subset: skiff, port: { number: 9080 } }, weight: 100 }
  - { destination: { host: reviews, subset: envoy, port: { number: 9080 } }, weight: 0 }`,
    requests: [{ times: 5, expect: { status: 200, app: "skiff" } }],
  },
  {
    name: "split",
    http: `
- route:
  - { destination: { host: reviews, subset: skiff, port: { number: 9080 } }, weight: 75 }
  - { destination: { host: reviews, subset: envoy, port: { number: 9080 } }, weight: 25 }`,
    requests: [],
    share: { app: "skiff", of: 160, least: 0.6, most: 0.88 },
  },
  {
    name: "rewrite",
    http: `
- { match: [ { uri: { prefix: /old } } ], rewrite: { uri: /new, authority: other.test }, ${to("envoy")} }
- match: [ { uri: { prefix: /regex } } ]
  rewrite: { uriRegexRewrite: { match: "/regex/([a-z]+)/(.*)", rewrite: "/\\\\2/\\\\1" } }
  ${to("skiff")}`,
    requests: [
      { path: "/old/x?q=1", expect: { status: 200, path: "/new/x?q=1", host: "other.test" } },
      { path: "/regex/ab/cd?q=1", expect: { status: 200, path: "/cd/ab?q=1" } },
      { path: "/none", expect: { status: 404, flags: "NR" } },
    ],
  },
  {
    name: "redirect",
    http: `
- { match: [ { uri: { prefix: /moved } } ], redirect: { uri: /here, authority: new.test, redirectCode: 308 } }
- { match: [ { uri: { prefix: /secure } } ], redirect: { scheme: https, port: 8443 } }
- { redirect: { uri: /root } }`,
    requests: [
      { path: "/moved/x?q=1", expect: { status: 308, headers: { location: "http://new.test/here?q=1" } } },
      {
        path: "/secure/a?q=1",
        expect: { status: 301, headers: { location: "https://redirect.test:8443/secure/a?q=1" } },
      },
      { path: "/other", method: "POST", body: "x", expect: { status: 301 } },
    ],
  },
  {
    name: "direct",
    http:
      `- { directResponse: { status: 418, body: { string: "short and stout" } }, headers: { response: { set: { x-pot: tea } } } }`,
    requests: [{ path: "/x", expect: { status: 418, body: "short and stout", headers: { "x-pot": "tea" } } }],
  },
  {
    name: "fault",
    http: `
- match: [ { headers: { x-end: { exact: abort } } } ]
  fault: { abort: { httpStatus: 555, percentage: { value: 100 } } }
  ${to("skiff")}
- match: [ { headers: { x-end: { exact: delay } } } ]
  fault: { delay: { fixedDelay: 0.2s, percentage: { value: 100 } } }
  ${to("skiff")}
- match: [ { headers: { x-end: { exact: both } } } ]
  fault: { delay: { fixedDelay: 0.1s, percentage: { value: 100 } }, abort: { httpStatus: 503, percentage: { value: 100 } } }
  ${to("skiff")}`,
    requests: [
      { headers: { "x-end": "abort" }, expect: { status: 555, flags: "FI", body: "fault filter abort" } },
      { headers: { "x-end": "delay" }, expect: { status: 200, flags: "DI", app: "skiff" } },
      { headers: { "x-end": "both" }, expect: { status: 503, flags: "DI,FI" } },
    ],
  },
  {
    name: "retries",
    http: `
- { match: [ { uri: { prefix: /first } } ], retries: { attempts: 2, perTryTimeout: 2s, retryOn: 5xx }, ${to("envoy")} }
- { match: [ { uri: { prefix: /status } } ], retries: { attempts: 2, retryOn: 5xx }, ${to("skiff")} }
- { retries: { attempts: 0 }, ${to("skiff")} }`,
    requests: [
      { path: "/first/503/SIDE", expect: { status: 200, seen: { "x-envoy-attempt-count": "2" } } },
      { path: "/status/503", expect: { status: 503, flags: "URX", seen: { "x-envoy-attempt-count": "3" } } },
      { path: "/status/404", expect: { status: 404, seen: { "x-envoy-attempt-count": "1" } } },
    ],
  },
  {
    name: "timeout",
    http: `
- { match: [ { uri: { prefix: /slow } } ], timeout: 0.2s, ${to("envoy")} }
- { match: [ { uri: { prefix: /try } } ], timeout: 2s, retries: { attempts: 1, perTryTimeout: 0.1s, retryOn: gateway-error }, rewrite: { uri: /slow/600 }, ${
      to("envoy")
    } }`,
    requests: [
      { path: "/slow/900", expect: { status: 504, flags: "UT", body: "upstream request timeout" } },
      { path: "/slow/1", expect: { status: 200 } },
      { path: "/try", expect: { status: 504, flags: "URX,UT", body: "upstream request timeout" } },
    ],
  },
  {
    name: "mirror",
    http: `
- { mirror: { host: reviews, subset: envoy, port: { number: 9080 } }, mirrorPercentage: { value: 100 }, ${
      to("skiff")
    } }`,
    requests: [{ path: "/mirrored", expect: { status: 200, app: "skiff" } }],
    arrives: { app: "envoy", path: "/mirrored" },
  },
  {
    name: "cors",
    http: `
- corsPolicy:
    allowOrigins: [ { exact: "http://good.test" }, { regex: "http://.*[.]fine[.]test" } ]
    allowMethods: [GET, PUT]
    allowHeaders: [x-one]
    exposeHeaders: [x-app]
    maxAge: 60s
    allowCredentials: true
  ${to("skiff")}`,
    requests: [
      {
        headers: { origin: "http://good.test" },
        expect: {
          status: 200,
          headers: {
            "access-control-allow-origin": "http://good.test",
            "access-control-allow-credentials": "true",
            "access-control-expose-headers": "x-app",
          },
        },
      },
      {
        method: "OPTIONS",
        headers: { origin: "http://a.fine.test", "access-control-request-method": "PUT" },
        expect: {
          status: 200,
          headers: {
            "access-control-allow-origin": "http://a.fine.test",
            "access-control-allow-methods": "GET,PUT",
            "access-control-allow-headers": "x-one",
            "access-control-max-age": "60",
          },
        },
      },
      {
        headers: { origin: "http://bad.test" },
        expect: { status: 200, headers: { "access-control-allow-origin": null } },
      },
    ],
  },
  {
    name: "headers",
    http: `
- headers:
    request: { set: { x-set: route }, add: { x-add: route }, remove: [x-gone] }
    response: { set: { x-app: hidden }, add: { x-added: "yes" }, remove: [x-removed] }
  route:
  - destination: { host: reviews, subset: skiff, port: { number: 9080 } }
    headers: { request: { set: { x-destination: "1" } }, response: { add: { x-from: destination } } }`,
    requests: [
      {
        headers: { "x-set": "caller", "x-gone": "1", "x-add": "caller" },
        expect: {
          status: 200,
          seen: { "x-set": "route", "x-gone": null, "x-destination": "1", "x-add": "caller, route" },
          headers: { "x-app": "hidden", "x-added": "yes", "x-removed": null, "x-from": "destination" },
        },
      },
    ],
  },
  {
    name: "unknown-subset",
    http: `- { route: [ { destination: { host: reviews, subset: none, port: { number: 9080 } } } ] }`,
    requests: [{ expect: { status: 503, flags: "NC" } }],
  },
  { name: "nobody", requests: [{ expect: { status: 503, flags: "DF", body: "DNS resolution failure" } }] },
];
