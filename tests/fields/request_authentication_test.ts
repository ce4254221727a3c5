import { fieldTests, row } from "./field_table.ts";

const tokens = { warns: /Token/ };

/** Of the policy that stands in for the check of tokens. */
const denied = `request-authentication[row]`;
const rules = `jwtRules: [{ issuer: "https://issuer.example.com" }]`;

/** A service that the workloads of bookinfo can be attached to. */
const mine = `
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: { name: mine }
spec:
  hosts: [productpage.default.svc.cluster.local]
  ports: [{ number: 9080, name: http, protocol: HTTP }]
  resolution: STATIC
`;

const spec = (rule: string) => `{ jwtRules: [{ issuer: "https://issuer.example.com"${rule} }] }`;

fieldTests({
  kind: "RequestAuthentication",
  apiVersion: "security.istio.io/v1",
  rows: [
    row("jwtRules[].issuer", spec(""), tokens),
    ...[
      ["audiences[]", "audiences: [bookinfo]"],
      ["forwardOriginalToken", "forwardOriginalToken: true"],
      ["fromCookies[]", "fromCookies: [session]"],
      ["fromHeaders[].name", "fromHeaders: [{ name: x-token }]"],
      ["fromHeaders[].prefix", `fromHeaders: [{ name: x-token, prefix: "Token " }]`],
      ["fromParams[]", "fromParams: [token]"],
      ["jwks", `jwks: '{"keys":[]}'`],
      ["jwksUri", "jwksUri: https://issuer.example.com/keys"],
      ["outputClaimToHeaders[].claim", "outputClaimToHeaders: [{ header: x-sub, claim: sub }]"],
      ["outputClaimToHeaders[].header", "outputClaimToHeaders: [{ header: x-sub, claim: sub }]"],
      ["outputPayloadToHeader", "outputPayloadToHeader: x-payload"],
      ["spaceDelimitedClaims[]", "spaceDelimitedClaims: [scope]"],
      ["timeout", "timeout: 5s"],
    ].map(([field, value]) => row(`jwtRules[].${field}`, spec(`, ${value}`), tokens)),
    row("jwtRules[].jwks_uri", spec(", jwks_uri: https://issuer.example.com/keys"), tokens),
    row("selector.matchLabels.{}", `{ selector: { matchLabels: { app: nobody } }, ${rules} }`, { vanishes: denied }),
    ...["targetRef", "targetRefs[]"].flatMap((field) => {
      const attached = (reference: string) =>
        field === "targetRef"
          ? `{ targetRef: { ${reference} }, ${rules} }`
          : `{ targetRefs: [{ ${reference} }], ${rules} }`;
      return [
        row(`${field}.group`, attached("group: networking.istio.io, kind: ServiceEntry, name: mine"), denied, mine),
        row(`${field}.kind`, attached(`group: "", kind: Deployment, name: reviews`), { refuses: /Service/ }),
        row(`${field}.name`, attached(`group: "", kind: Service, name: reviews`), denied),
        row(`${field}.namespace`, attached(`group: "", kind: Service, name: reviews, namespace: other`), {
          refuses: /empty/,
        }),
      ];
    }),
  ],
});
