/** Which workloads a security policy is for: `selector`, `targetRef`, `targetRefs`. */
import { atMostOne, list, map, message, required } from "../../../yaml/collections.ts";
import type { Cursor } from "../../../yaml/cursor.ts";
import { nonEmpty, type Schema, string } from "../../../yaml/schema.ts";
import type { PolicyTargetReference, WorkloadSelector } from "../../security_types.ts";
import { labelKey } from "../names.ts";

/** A text rule: value of a label, of which Istio takes more than Kubernetes does; patterns are not among it. */
function selectorValue(value: string): string | undefined {
  if (value.includes("*")) return "not contain *: labels are compared as they stand";
  return value.length <= 63 ? undefined : "have at most 63 characters";
}

export const workloadSelector: Schema<WorkloadSelector> = message<WorkloadSelector>({
  matchLabels: map(string(selectorValue), labelKey, { maximum: 4096 }),
}, ({ matchLabels }, cursor) => {
  if (cursor.has("matchLabels") && matchLabels === undefined) return;
  if (Object.keys(matchLabels ?? {}).length === 0) cursor.warning("selects by no label: every workload is meant");
});

export const targetReference: Schema<PolicyTargetReference> = message<PolicyTargetReference>({
  group: string((value) => value.length <= 253 ? undefined : "have at most 253 characters"),
  kind: required(string(nonEmpty, (value) => value.length <= 63 ? undefined : "have at most 63 characters")),
  name: required(string(nonEmpty, (value) => value.length <= 253 ? undefined : "have at most 253 characters")),
  namespace: string((value) => value === "" ? undefined : "be empty: a policy is for its own namespace"),
}, ({ group = "", kind }, cursor) => {
  if (kind === undefined || known.has(`${group}/${kind}`)) return;
  cursor.at("kind").error(
    `${
      group === "" ? kind : `${group}/${kind}`
    } is nothing that a policy can be attached to: want Service (group ""), ServiceEntry ` +
      "(networking.istio.io), Gateway or GatewayClass (gateway.networking.k8s.io)",
  );
});

const known = new Set([
  "/Service",
  "core/Service",
  "networking.istio.io/ServiceEntry",
  "gateway.networking.k8s.io/Gateway",
  "gateway.networking.k8s.io/GatewayClass",
]);

export const targetFields = {
  selector: workloadSelector,
  targetRef: targetReference,
  targetRefs: list(targetReference, { maximum: 16 }),
};

/** The rules between the three. */
export function checkTarget(cursor: Cursor): void {
  atMostOne(cursor, "selector", "targetRef", "targetRefs");
}
