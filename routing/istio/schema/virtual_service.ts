/** VirtualService, by the rules of Istio's validator. */
import { list, message } from "../../yaml/collections.ts";
import type { Cursor } from "../../yaml/cursor.ts";
import { quote } from "../../yaml/node.ts";
import { type Schema, string } from "../../yaml/schema.ts";
import { hostMatches } from "../host.ts";
import type { VirtualServiceSpec } from "../types.ts";
import { gateways } from "./http_match.ts";
import { httpRoute, refusePatterns } from "./http_route.ts";
import { tcpRoute, tlsRoute } from "./l4_route.ts";
import { exportTo, isAddress, noNone, wildcardHost } from "./names.ts";

/** A text rule: host name with or without wildcard, or IP address. */
function virtualHost(value: string): string | undefined {
  return isAddress(value) ? undefined : wildcardHost(value);
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
