/** `v1/Service` and annotations. */
import { portProtocol } from "../compile/protocol.ts";
import type { KubernetesService } from "../istio/types.ts";
import type { Analysis } from "./analysis.ts";
import { type Finding, finding } from "./finding.ts";

/** Port names that tell no protocol (IST0118), and those of ExternalName services that Istio warns of (IST0150). */
export function portNames(analysis: Analysis): Finding[] {
  return (analysis.of("Service") as KubernetesService[]).flatMap((service) =>
    (service.spec.ports ?? []).flatMap(({ name = "", port, targetPort, protocol = "TCP", appProtocol }, index) => {
      if (protocol !== "TCP" || appProtocol !== undefined) return [];
      const path = ["spec", "ports", index, "name"];
      const spoken = portProtocol(name, "");
      if (service.spec.type === "ExternalName" && (spoken === "UNSPECIFIED" || spoken === "TCP")) {
        const message =
          "Port name for ExternalName service is invalid. Proxy may prevent tcp named ports and unmatched " +
          "traffic for ports serving TCP protocol from being forwarded correctly";
        return [finding("IST0150", service, path, message)];
      }
      if (spoken !== "UNSPECIFIED") return [];
      const message =
        `Port name ${name} (port: ${port}, targetPort: ${targetPort ?? port}) doesn't follow the naming ` +
        "convention of Istio port.";
      return [finding("IST0118", service, path, message)];
    })
  );
}

/** Those that change something here. */
const annotationsInForce = new Set(["networking.istio.io/exportTo", "istio.io/dry-run"]);

/** Istio's annotations that do nothing here (IST0108): nothing of Istio's is passed over in silence. */
export function annotations(analysis: Analysis): Finding[] {
  return analysis.input.resources.flatMap((resource) =>
    Object.keys(resource.metadata.annotations)
      .filter((name) => /(^|\.)istio\.io\//.test(name) && !annotationsInForce.has(name))
      .map((name) => finding("IST0108", resource, ["metadata", "annotations", name], `Unknown annotation: ${name}`))
  );
}
