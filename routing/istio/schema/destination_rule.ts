/** DestinationRule, by the rules of Istio's validator. */
import { list, map, message, required } from "../../yaml/collections.ts";
import { quote } from "../../yaml/node.ts";
import { type Schema, string } from "../../yaml/schema.ts";
import type { DestinationRuleSpec, Subset } from "../types.ts";
import { dnsLabel, exportTo, isAddress, labelKey, labels, labelValue, noNone, wildcardHost } from "./names.ts";
import { trafficPolicy } from "./traffic_policy.ts";

const subset: Schema<Subset> = message<Subset>({ name: required(string(dnsLabel)), labels, trafficPolicy });

export const destinationRule: Schema<DestinationRuleSpec> = message<DestinationRuleSpec>({
  host: required(string((value) => isAddress(value) ? undefined : wildcardHost(value))),
  trafficPolicy,
  subsets: list(subset),
  exportTo,
  workloadSelector: message<{ matchLabels?: Record<string, string> }>({
    matchLabels: map(string(labelValue), labelKey),
  }),
}, ({ subsets = [], exportTo }, cursor) => {
  const seen = new Set<string>();
  subsets.forEach(({ name }, index) => {
    if (seen.has(name)) cursor.at("subsets", index, "name").error(`the subset ${quote(name)} is defined twice`);
    seen.add(name);
  });
  noNone(exportTo, cursor);
  if (cursor.has("workloadSelector") && exportTo?.some((namespace) => namespace !== ".")) {
    cursor.at("exportTo").error(`must be ["."] beside workloadSelector, which chooses in this namespace only`);
  }
});
