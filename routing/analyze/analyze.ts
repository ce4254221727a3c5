/** Every analyser, in the order of what a reader wants to know first. */
import { Analysis, type AnalysisInput } from "./analysis.ts";
import { destinations, ruleHosts } from "./destinations.ts";
import type { Finding } from "./finding.ts";
import { gatewayConflicts, gatewayReferences } from "./gateways.ts";
import { meshHosts, rulesBehindGateways } from "./mesh_hosts.ts";
import { routeOrder } from "./route_order.ts";
import { claimRouting, mutualTls } from "./security.ts";
import { oneForEachWorkload, selectedWorkloads, telemetryProviders } from "./selectors.ts";
import { annotations, portNames } from "./services.ts";

const analysers = [
  destinations,
  ruleHosts,
  gatewayReferences,
  gatewayConflicts,
  meshHosts,
  rulesBehindGateways,
  routeOrder,
  mutualTls,
  claimRouting,
  oneForEachWorkload,
  selectedWorkloads,
  telemetryProviders,
  portNames,
  annotations,
];

/**
 * What is valid but wrong together.
 *
 * Follows `istioctl analyze`; what it says of pods, injection and Kubernetes has no meaning here and is left out, as
 * are IST0128 and IST0129 (without caCertificates a server is held to the system's roots) and IST0134 (services
 * without addresses get loopback ones).
 */
export function analyze(input: AnalysisInput): Finding[] {
  const analysis = new Analysis(input);
  return analysers.flatMap((analyser) => analyser(analysis));
}
