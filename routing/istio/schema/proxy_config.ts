/** ProxyConfig, by the rules of Istio's resource definition. What speaks of containers has no meaning on a machine. */
import { map, message } from "../../yaml/collections.ts";
import { integer, nonEmpty, type Schema, string, text } from "../../yaml/schema.ts";
import type { ProxyConfigSpec } from "../telemetry_types.ts";
import { workloadSelector } from "./security/policy_target.ts";

export const proxyConfig: Schema<ProxyConfigSpec> = message<ProxyConfigSpec>({
  selector: workloadSelector,
  concurrency: integer(0, 2 ** 31 - 1),
  environmentVariables: map(
    text((value) => value.length <= 2048 ? undefined : "have at most 2048 characters"),
    nonEmpty,
  ),
  image: message<NonNullable<ProxyConfigSpec["image"]>>({ imageType: string() }),
}, (_, cursor) => {
  const reasons = {
    concurrency: "agents are told by --workers how many threads they run",
    environmentVariables: "agents take no environment from the mesh",
    image: "agents are not containers",
    selector: "nothing that it would be for is in force",
  };
  for (const [name, reason] of Object.entries(reasons)) {
    if (cursor.has(name)) cursor.atKey(name).warning(`is accepted but not in force: ${reason}`);
  }
});
