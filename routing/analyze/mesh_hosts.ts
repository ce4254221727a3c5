/** Hosts that several VirtualServices claim, and rules that requests from a gateway do not meet. */
import { exportedTo } from "../compile/visibility.ts";
import type { VirtualService } from "../istio/types.ts";
import { type Analysis, gatewaysOf, keyOf } from "./analysis.ts";
import { destinationsOf } from "./destinations.ts";
import { type Finding, finding } from "./finding.ts";

/** Two VirtualServices for one host, both for the mesh and seen by one namespace (IST0109). */
export function meshHosts(analysis: Analysis): Finding[] {
  const byHost = new Map<string, VirtualService[]>();
  for (const virtualService of analysis.virtualServices) {
    if (!gatewaysOf(virtualService).includes("mesh")) continue;
    for (const host of virtualService.spec.hosts ?? []) {
      const hostname = analysis.hostname(host, virtualService.metadata.namespace);
      byHost.set(hostname, [...byHost.get(hostname) ?? [], virtualService]);
    }
  }
  return [...byHost].flatMap(([host, claimants]) =>
    claimants.flatMap((claimant) => {
      const others = claimants.filter((other) => other === claimant || seenTogether(claimant, other));
      if (others.length < 2) return [];
      const message =
        `The VirtualServices ${others.map(keyOf).sort().join(",")} associated with mesh gateway define the ` +
        `same host ${host} which can lead to undefined behavior. ` +
        "This can be fixed by merging the conflicting VirtualServices into a single resource.";
      return [finding("IST0109", claimant, ["spec", "hosts"], message)];
    })
  );
}

function seenTogether(one: VirtualService, other: VirtualService): boolean {
  const places = [one, other].flatMap(({ spec, metadata }) => [metadata.namespace, ...spec.exportTo ?? []]);
  // A namespace that neither names stands for all the others.
  return [...places.filter((place) => place !== "*" && place !== "."), "\0"].some((viewer) =>
    [one, other].every(({ spec, metadata }) => exportedTo(spec.exportTo, metadata.namespace, viewer))
  );
}

/**
 * A VirtualService of a gateway sends to a host whose own rules choose subsets: those rules hold for callers in the
 * mesh alone (IST0140).
 */
export function rulesBehindGateways(analysis: Analysis): Finding[] {
  const findings: Finding[] = [];
  for (const atGateway of analysis.virtualServices) {
    if (gatewaysOf(atGateway).includes("mesh")) continue;
    const sent = new Set(
      destinationsOf(atGateway).filter(({ destination }) => destination.subset === undefined)
        .map(({ destination }) => analysis.hostname(destination.host, atGateway.metadata.namespace)),
    );
    for (const inMesh of analysis.virtualServices) {
      if (!gatewaysOf(inMesh).includes("mesh") || inMesh === atGateway) continue;
      const hosts = (inMesh.spec.hosts ?? []).map((host) => analysis.hostname(host, inMesh.metadata.namespace));
      const usesSubsets = destinationsOf(inMesh).some(({ destination }) => destination.subset !== undefined);
      if (!usesSubsets || !hosts.some((host) => sent.has(host))) continue;
      const message =
        `Subset in virtual service ${keyOf(inMesh)} has no effect on ingress gateway ${keyOf(atGateway)} ` +
        "requests";
      findings.push(finding("IST0140", atGateway, [], message));
    }
  }
  return findings;
}
