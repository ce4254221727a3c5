/** VirtualService, by the rules of Istio's validator. */
import { list, message } from "../../yaml/collections.ts";
import type { Cursor } from "../../yaml/cursor.ts";
import { quote } from "../../yaml/node.ts";
import { type Schema, string } from "../../yaml/schema.ts";
import { hostMatches, subsetOf } from "../host.ts";
import type { VirtualServiceSpec } from "../types.ts";
import { claim, gateways } from "./http_match.ts";
import { httpRoute, refusePatterns } from "./http_route.ts";
import { tcpRoute, tlsRoute } from "./l4_route.ts";
import { exportTo, isAddress, isClusterName, noNone, wildcardHost } from "./names.ts";

/** A text rule: host name with or without wildcard, IP address, or the name of a cluster that Istio makes for SNI. */
function virtualHost(value: string): string | undefined {
  return isAddress(value) || isClusterName(value) ? undefined : wildcardHost(value);
}

export const virtualService: Schema<VirtualServiceSpec> = message<VirtualServiceSpec>({
  hosts: list(string(virtualHost)),
  gateways,
  http: list(httpRoute),
  tls: list(tlsRoute),
  tcp: list(tcpRoute),
  exportTo,
}, (spec, cursor) => {
  const { node } = cursor.at("hosts");
  const isDelegate = !cursor.has("hosts") || (node.type === "list" && node.items.length === 0);
  if (isDelegate) checkDelegate(spec, cursor);
  else checkHosts(spec, cursor);
  checkServerNames(spec, cursor);
  if (gatewaysOnly(spec)) warnOfLongNames(spec.gateways ?? [], cursor.at("gateways"));
  else refuseClaims(cursor);
  const routes = ["http", "tls", "tcp"].map((name) => cursor.at(name).items().length);
  if (routes.every((count) => count === 0)) cursor.error("at least one route under http, tls or tcp is required");
  noNone(spec.exportTo, cursor);
});

function checkHosts({ hosts = [], gateways = ["mesh"] }: Partial<VirtualServiceSpec>, cursor: Cursor): void {
  const bound = gateways.length === 0 || gateways.includes("mesh");
  // Every pair is compared: beyond this many the comparison would cost more than it tells.
  const compared = hosts.slice(0, 512).map((host) => host.toLowerCase());
  compared.forEach((host, index) => {
    if (bound && host === "*") {
      cursor.at("hosts", index).error(`"*" is for gateways only: name the hosts, or gateways without mesh`);
    }
    const earlier = compared.slice(0, index).find((other) => hostMatches(other, host));
    if (earlier !== undefined) {
      cursor.at("hosts", index).error(`duplicates ${quote(earlier)}: each host may be meant once`);
    }
  });
}

function gatewaysOnly({ gateways = [] }: Partial<VirtualServiceSpec>): boolean {
  return gateways.length > 0 && !gateways.includes("mesh");
}

/** Names for SNI must lie within the hosts: nothing else is led here. */
function checkServerNames({ tls = [], hosts = [] }: Partial<VirtualServiceSpec>, cursor: Cursor): void {
  tls.forEach(({ match }, index) =>
    match.forEach(({ sniHosts }, matchIndex) =>
      sniHosts.forEach((name, nameIndex) => {
        const at = cursor.at("tls", index, "match", matchIndex, "sniHosts", nameIndex);
        if (isAddress(name)) return at.warning("is an IP address, which clients do not send as SNI");
        const within = hosts.some((host) => subsetOf(name.toLowerCase(), host.toLowerCase()));
        if (!within) at.error(`must lie within the hosts (${hosts.join(", ")}), found ${quote(name)}`);
      })
    )
  );
}

/** Tokens are checked by gateways, which alone know claims. */
function refuseClaims(cursor: Cursor): void {
  for (const route of cursor.at("http").items()) {
    for (const match of route.at("match").items()) {
      for (const headers of [match.at("headers"), match.at("withoutHeaders")]) {
        if (headers.node.type !== "map") continue;
        for (const key of [...headers.node.entries.keys()].filter((key) => claim.test(key))) {
          headers.atKey(key).error("a route by claims is for gateways alone: name gateways, without mesh");
        }
      }
    }
  }
}

function warnOfLongNames(gateways: readonly string[], cursor: Cursor): void {
  gateways.forEach((name, index) => {
    if (name.includes("/") || !name.includes(".")) return;
    const [short, namespace] = name.split(".");
    cursor.at(index).warning(`${quote(name)} is an old way to name a Gateway: write ${namespace}/${short}`);
  });
}

/** Without hosts it is a delegate, which has HTTP routes alone and no further delegation. */
function checkDelegate(spec: Partial<VirtualServiceSpec>, cursor: Cursor): void {
  for (const name of ["gateways", "tls", "tcp"]) {
    if (cursor.at(name).items().length > 0) {
      cursor.at("hosts").error(`is required: a VirtualService without hosts is a delegate, which has no ${name}`);
      return;
    }
  }
  cursor.at("http").items().forEach((route, index) => {
    if (route.has("delegate")) route.atKey("delegate").error("a VirtualService without hosts cannot delegate further");
    if (spec.http !== undefined) refusePatterns(spec.http[index], route);
  });
}
