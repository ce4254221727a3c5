import { deepEqual, equal, throws } from "node:assert/strict";
import {
  formatServiceAccount,
  formatSpiffeId,
  parseServiceAccount,
  parseSpiffeId,
  SpiffeIdError,
} from "./spiffe_id.ts";

const reviews = { trustDomain: "cluster.local", namespace: "default", serviceAccount: "bookinfo-reviews" };

Deno.test("an identity reads back as it was written", () => {
  const uri = "spiffe://cluster.local/ns/default/sa/bookinfo-reviews";
  deepEqual(parseSpiffeId(uri), reviews);
  equal(formatSpiffeId(reviews), uri);
  deepEqual(parseServiceAccount("default/bookinfo-reviews", "cluster.local"), reviews);
  equal(formatServiceAccount(reviews), "default/bookinfo-reviews");
});

const refused = [
  "",
  "spiffe://",
  "https://cluster.local/ns/a/sa/b",
  "SPIFFE://cluster.local/ns/a/sa/b",
  "spiffe:/cluster.local/ns/a/sa/b",
  "spiffe://Cluster.local/ns/a/sa/b",
  "spiffe:///ns/a/sa/b",
  "spiffe://cluster.local:443/ns/a/sa/b",
  "spiffe://user@cluster.local/ns/a/sa/b",
  "spiffe://cluster.local/ns/a/sa/b?x=1",
  "spiffe://cluster.local/ns/a/sa/b#x",
  "spiffe://cluster.local/ns/a/sa/b/",
  "spiffe://cluster.local/ns/a/sa/b/c",
  "spiffe://cluster.local/ns//sa/b",
  "spiffe://cluster.local/ns/a/sa/",
  "spiffe://cluster.local/ns/../sa/b",
  "spiffe://cluster.local/ns/a/sa/.",
  "spiffe://cluster.local/ns/%61/sa/b",
  "spiffe://cluster.local/ns/a/sa/b\0.evil",
  "spiffe://cluster.local/ns/a/sa/b\n",
  "spiffe://cluster.local/ns/a/sa/b\u212a",
  "spiffe://cluster.local/sa/b/ns/a",
  " spiffe://cluster.local/ns/a/sa/b",
  `spiffe://${"a".repeat(256)}/ns/a/sa/b`,
  `spiffe://cluster.local/ns/${"a".repeat(64)}/sa/b`,
  `spiffe://cluster.local/ns/a/sa/${"b".repeat(254)}`,
];

for (const uri of refused) {
  Deno.test(`refuses the identity ${JSON.stringify(uri.slice(0, 60))} of ${uri.length} characters`, () => {
    throws(() => parseSpiffeId(uri), SpiffeIdError);
  });
}

Deno.test("refuses to write an identity that could not be read back", () => {
  throws(() => formatSpiffeId({ ...reviews, namespace: "a/b" }), SpiffeIdError);
  throws(() => formatSpiffeId({ ...reviews, serviceAccount: "" }), SpiffeIdError);
});

Deno.test("refuses a service account without namespace, or with more", () => {
  for (const text of ["reviews", "default/reviews/x", "/reviews", "default/", "*/reviews"]) {
    throws(() => parseServiceAccount(text, "cluster.local"), SpiffeIdError);
  }
});
