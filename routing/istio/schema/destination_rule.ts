/** DestinationRule, by the rules of Istio's validator. */
import { list, message, required } from "../../yaml/collections.ts";
import { quote } from "../../yaml/node.ts";
import { type Schema, string } from "../../yaml/schema.ts";
import type { DestinationRuleSpec, Subset } from "../types.ts";
import { exportTo, isAddress, istioLabel, labels, noNone, wildcardHost } from "./names.ts";
import { workloadSelector } from "./security/policy_target.ts";
import { trafficPolicy } from "./traffic_policy.ts";

const subset: Schema<Subset> = message<Subset>({ name: required(string(istioLabel)), labels, trafficPolicy });

export const destinationRule: Schema<DestinationRuleSpec> = message<DestinationRuleSpec>({
  host: required(string((value) => isAddress(value) ? undefined : wildcardHost(value))),
  trafficPolicy,
  subsets: list(subset),
  exportTo,
  workloadSelector,
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
