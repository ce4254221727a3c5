/** PeerAuthentication, by the rules of Istio's validator. */
import { map, message } from "../../../yaml/collections.ts";
import { enumeration, type Schema } from "../../../yaml/schema.ts";
import type { MutualTls, PeerAuthenticationSpec } from "../../security_types.ts";
import { workloadSelector } from "./policy_target.ts";

/** A text rule for the keys of `portLevelMtls`, which YAML may write as numbers. */
function portKey(value: string): string | undefined {
  return /^[1-9]\d{0,4}$/.test(value) && Number(value) <= 65535 ? undefined : "be a port number from 1 to 65535";
}

const mutualTls: Schema<MutualTls> = message<MutualTls>({
  mode: enumeration("UNSET", "DISABLE", "PERMISSIVE", "STRICT"),
});

export const peerAuthentication: Schema<PeerAuthenticationSpec> = message<PeerAuthenticationSpec>({
  selector: workloadSelector,
  mtls: mutualTls,
  portLevelMtls: map(mutualTls, portKey),
}, ({ selector, portLevelMtls }, cursor) => {
  if (!cursor.has("portLevelMtls")) return;
  if (portLevelMtls !== undefined && Object.keys(portLevelMtls).length === 0) {
    cursor.atKey("portLevelMtls").error("must name at least one port");
  }
  if (cursor.has("selector") && selector === undefined) return;
  if (Object.keys(selector?.matchLabels ?? {}).length === 0) {
    cursor.atKey("portLevelMtls").error("needs a selector with labels: ports are a workload's");
  }
});
