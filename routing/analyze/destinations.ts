/** Where a VirtualService sends traffic: hosts, subsets and ports that must be there. */
import type { Destination, Resource, VirtualService } from "../istio/types.ts";
import type { Segment } from "../yaml/cursor.ts";
import type { Analysis } from "./analysis.ts";
import { type Finding, finding } from "./finding.ts";

export interface PlacedDestination {
  destination: Destination;
  path: Segment[];
}

interface Route {
  route?: { destination?: Destination }[];
  mirror?: Destination;
  mirrors?: { destination?: Destination }[];
}

/** Every destination of a VirtualService's routes and mirrors. */
export function destinationsOf({ spec }: VirtualService): PlacedDestination[] {
  return (["http", "tls", "tcp"] as const).flatMap((list) =>
    ((spec[list] ?? []) as Route[]).flatMap((route, index) => {
      const at: Segment[] = ["spec", list, index];
      return [
        ...(route.route ?? []).map(({ destination }, i) => ({ destination, path: [...at, "route", i, "destination"] })),
        { destination: route.mirror, path: [...at, "mirror"] },
        ...(route.mirrors ?? []).map(({ destination }, i) => ({
          destination,
          path: [...at, "mirrors", i, "destination"],
        })),
      ];
    })
  ).filter((placed): placed is PlacedDestination => placed.destination !== undefined);
}

/** Hosts that nobody publishes (IST0101), subsets that no rule defines (IST0101), ports left open (IST0112). */
export function destinations(analysis: Analysis): Finding[] {
  return analysis.virtualServices.flatMap((virtualService) =>
    destinationsOf(virtualService).flatMap((placed) => check(analysis, virtualService, placed))
  );
}

function check(analysis: Analysis, from: VirtualService, { destination, path }: PlacedDestination): Finding[] {
  const { host, subset, port } = destination;
  const services = analysis.services(host, from.metadata.namespace);
  const at = [...path, "host"];
  if (services.length === 0) return [finding("IST0101", from, at, `Referenced host not found: ${quoted(host)}`)];
  const findings: Finding[] = [];
  if (subset !== undefined && !hasSubset(analysis, from, host, subset)) {
    const message = `Referenced host+subset in destinationrule not found: ${quoted(`${host}+${subset}`)}`;
    findings.push(finding("IST0101", from, [...path, "subset"], message));
  }
  const [{ ports }] = services;
  if (port?.number === undefined && ports.length > 1) {
    const numbers = ports.map(({ number }) => number).join(" ");
    const message =
      `This VirtualService routes to a service ${quoted(host)} that exposes multiple ports [${numbers}]. ` +
      "Specifying a port in the destination is required to disambiguate.";
    findings.push(finding("IST0112", from, at, message));
  } else if (port?.number !== undefined && !ports.some(({ number }) => number === port.number)) {
    const message = `Referenced host:port not found: ${quoted(`${host}:${port.number}`)}`;
    findings.push(finding("IST0101", from, [...path, "port", "number"], message));
  }
  return findings;
}

function hasSubset(analysis: Analysis, from: Resource, host: string, subset: string): boolean {
  const hostname = analysis.hostname(host, from.metadata.namespace);
  return analysis.destinationRules.some(({ spec, metadata }) =>
    analysis.hostname(spec.host, metadata.namespace) === hostname && spec.subsets?.some(({ name }) => name === subset)
  );
}

/** Hosts of DestinationRules that nobody publishes, and subsets that choose no endpoint (both IST0101). */
export function ruleHosts(analysis: Analysis): Finding[] {
  return analysis.destinationRules.flatMap((rule) => {
    const { spec: { host, subsets = [] }, metadata } = rule;
    const services = analysis.services(host, metadata.namespace);
    if (services.length === 0) {
      return [finding("IST0101", rule, ["spec", "host"], `Referenced host not found: ${quoted(host)}`)];
    }
    const endpoints = services.flatMap((service) => service.endpoints);
    if (!analysis.input.complete || endpoints.length === 0) return [];
    return subsets.flatMap(({ name, labels = {} }, index) => {
      const chosen = endpoints.some((endpoint) =>
        Object.entries(labels).every(([key, value]) => endpoint.labels[key] === value)
      );
      const message = `Referenced workloads of subset not found: ${quoted(`${host}+${name}`)}`;
      return chosen ? [] : [finding("IST0101", rule, ["spec", "subsets", index, "labels"], message)];
    });
  });
}

/** As Go's %q prints names: what is referenced stands in quotes. */
export function quoted(text: string): string {
  return JSON.stringify(text);
}
