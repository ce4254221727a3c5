/** Names as Kubernetes and Istio spell them: hosts, namespaces, labels, headers, addresses. */
import { isIP } from "node:net";
import { list, map } from "../../yaml/collections.ts";
import type { Cursor } from "../../yaml/cursor.ts";
import { integer, nonEmpty, refine, type Schema, string } from "../../yaml/schema.ts";
import { quote } from "../../yaml/node.ts";

const label = /^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/;
const anyCaseLabel = /^[a-zA-Z0-9]([-a-zA-Z0-9]{0,61}[a-zA-Z0-9])?$/;

/** A text rule: RFC 1123 label, as namespaces and port names are. */
export function dnsLabel(value: string): string | undefined {
  return label.test(value) ? undefined : "be a DNS label (lower-case letters, digits, hyphens; 63 at most)";
}

/** A text rule: RFC 1123 subdomain, as names of resources are. */
export function dnsSubdomain(value: string): string | undefined {
  const good = value.length <= 253 && value.split(".").every((part) => label.test(part));
  return good ? undefined : "be a DNS name (lower-case letters, digits, hyphens, dots; 253 at most)";
}

/** A text rule: label as Istio takes it for subsets, namespaces and ports, in either case. */
export function istioLabel(value: string): string | undefined {
  return anyCaseLabel.test(value) ? undefined : "be a DNS label (letters, digits, hyphens; 63 at most)";
}

/** Whether these are the labels of a name: one whose last label is a number would be read as an address. */
function areLabels(labels: string[]): boolean {
  return labels.every((part) => anyCaseLabel.test(part)) && !/^\d+$/.test(labels.at(-1) ?? "");
}

/** A text rule: host name, in either case, of one label or more. */
export function hostName(value: string): string | undefined {
  const good = value.length <= 255 && areLabels(value.split("."));
  return good ? undefined : "be a DNS name such as reviews or reviews.default.svc.cluster.local";
}

/** A text rule: host name whose first label may be, or begin with, `*`. */
export function wildcardHost(value: string): string | undefined {
  const [first, ...rest] = value.split(".");
  const wild = first === "*" || /^\*-?[a-zA-Z0-9]([-a-zA-Z0-9]*[a-zA-Z0-9])?$/.test(first);
  const good = value.length <= 255 && (wild || anyCaseLabel.test(first)) &&
    areLabels(rest);
  return good ? undefined : "be a DNS name, with * only as its first label";
}

/** Whether it is Istio's name of a cluster in SNI, which crosses networks: `outbound_.80_._.host`. */
export function isClusterName(value: string): boolean {
  return /^outbound_[^_]*\d[^_]*_[^_]*_[^_]*[a-zA-Z]/.test(value) && value.length <= 255;
}

export function isAddress(value: string): boolean {
  return isIP(value) !== 0;
}

/** Whether the text is an address range such as `10.0.0.0/8`. */
export function isSubnet(value: string): boolean {
  const slash = value.lastIndexOf("/");
  if (slash < 0) return false;
  const version = isIP(value.slice(0, slash));
  const bits = value.slice(slash + 1);
  return version !== 0 && /^\d{1,3}$/.test(bits) && Number(bits) <= (version === 4 ? 32 : 128);
}

/** A text rule: IP address or range. */
export function addressOrSubnet(value: string): string | undefined {
  return isAddress(value) || isSubnet(value) ? undefined : "be an IP address or a range such as 10.0.0.0/8";
}

/** A text rule: key of a Kubernetes label, `prefix/name` or `name`. */
export function labelKey(value: string): string | undefined {
  const slash = value.indexOf("/");
  const name = value.slice(slash + 1);
  const good = /^[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$/.test(name) &&
    (slash < 0 || dnsSubdomain(value.slice(0, slash)) === undefined);
  return good ? undefined : "be a label key such as app or app.kubernetes.io/name";
}

/** A text rule: value of a Kubernetes label. */
export function labelValue(value: string): string | undefined {
  const good = value === "" || /^[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$/.test(value);
  return good ? undefined : "be a label value (letters, digits, -, _, . between letters or digits; 63 at most)";
}

/** A text rule: token of RFC 9110 §5.6.2, what the name of a header is made of. */
export function headerName(value: string): string | undefined {
  return /^[-!#$%&'*+.^_`|~0-9A-Za-z]{1,256}$/.test(value) ? undefined : "be a header name";
}

export const portNumber: Schema<number> = integer(1, 65535);

export const labels: Schema<Record<string, string>> = map(string(labelValue), labelKey);

/**
 * Where a rule or a host is visible: namespaces, `.` for the own one, `*` for all.
 *
 * The rules between them are those of Istio's validator.
 */
export const exportTo: Schema<string[]> = refine(list(string(nonEmpty)), (values, cursor) => {
  const seen = new Set<string>();
  values.forEach((value, index) => {
    if (seen.has(value)) cursor.at(index).error(`names ${quote(value)} twice`);
    seen.add(value);
    if (!["*", ".", "~"].includes(value) && dnsLabel(value) !== undefined) {
      cursor.at(index).error(`must be a namespace, "." or "*", found ${quote(value)}`);
    }
  });
  if (seen.size > 1 && seen.has("*")) cursor.error(`"*" is everything already: it must stand alone`);
  if (seen.size > 1 && seen.has("~")) cursor.error(`"~" is nothing: it must stand alone`);
});

/** Refuses `~` (visible nowhere), which only services know. */
export function noNone(values: string[] | undefined, cursor: Cursor): void {
  const index = values?.indexOf("~") ?? -1;
  if (index >= 0) cursor.at("exportTo", index).error(`"~" is for ServiceEntry only`);
}

/** A text rule: `region/zone/subzone`, the last two optional. */
export function locality(value: string): string | undefined {
  const parts = value.split("/");
  const good = parts.length <= 3 && parts.every((part) => part !== "" && !part.includes("*"));
  return good ? undefined : "be region/zone/subzone, without empty parts and *";
}
