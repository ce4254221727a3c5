/** Gateways, and the VirtualServices that are bound to them. */
import { hostMatches } from "../istio/host.ts";
import type { Resource } from "../istio/types.ts";
import { type Analysis, gatewayKey, gatewaysOf, keyOf } from "./analysis.ts";
import { quoted } from "./destinations.ts";
import { type Finding, finding } from "./finding.ts";

interface GatewaySpec {
  selector?: Record<string, string>;
  servers?: {
    port?: { number?: number; protocol?: string };
    hosts?: string[];
    tls?: { credentialName?: string };
  }[];
}

type Gateway = Resource<string, GatewaySpec>;

/** Gateways that are not there (IST0101) and hosts that none of the gateway's servers serves (IST0132). */
export function gatewayReferences(analysis: Analysis): Finding[] {
  const gateways = new Map((analysis.of("Gateway") as Gateway[]).map((gateway) => [keyOf(gateway), gateway]));
  return analysis.virtualServices.flatMap((virtualService) => {
    const { spec, metadata } = virtualService;
    const written = spec.gateways ?? [];
    const missing = written.flatMap((name, index) =>
      name === "mesh" || gateways.has(gatewayKey(name, metadata.namespace)) ? [] : [
        finding(
          "IST0101",
          virtualService,
          ["spec", "gateways", index],
          `Referenced gateway not found: ${quoted(name)}`,
        ),
      ]
    );
    const unserved = gatewaysOf(virtualService).flatMap((key) => {
      const gateway = gateways.get(key);
      const hosts = gateway === undefined ? [] : hostsNotServed(spec.hosts ?? [], metadata.namespace, gateway);
      if (hosts.length === 0) return [];
      const message =
        `one or more host [${hosts.join(" ")}] defined in VirtualService ${keyOf(virtualService)} not found in ` +
        `Gateway ${key}.`;
      return [finding("IST0132", virtualService, ["spec", "hosts"], message)];
    });
    return [...missing, ...unserved];
  });
}

function hostsNotServed(hosts: string[], namespace: string, gateway: Gateway): string[] {
  const served = (gateway.spec.servers ?? []).flatMap(({ hosts = [] }) => hosts).map((host) => {
    const [place, name] = host.includes("/") ? host.split("/") : ["*", host];
    return { namespace: place === "." ? gateway.metadata.namespace : place, name };
  }).filter((host) => host.namespace === "*" || host.namespace === namespace);
  return hosts.filter((host) => !served.some(({ name }) => hostMatches(name.toLowerCase(), host.toLowerCase())));
}

/** Two Gateways with one selector that serve one host on one port (IST0145), or one certificate (IST0138). */
export function gatewayConflicts(analysis: Analysis): Finding[] {
  const gateways = analysis.of("Gateway") as Gateway[];
  return gateways.flatMap((gateway) => {
    const others = gateways.filter((other) =>
      other !== gateway && text(other.spec.selector) === text(gateway.spec.selector)
    );
    const ports = new Map<number, string[]>();
    for (const { port, hosts = [] } of gateway.spec.servers ?? []) {
      if (port?.number !== undefined) ports.set(port.number, [...ports.get(port.number) ?? [], ...hosts]);
    }
    const clashes = [...ports].flatMap(([number, hosts]) => {
      const clashing = others.filter(({ spec }) =>
        (spec.servers ?? []).some((server) => server.port?.number === number && sharesHost(hosts, server.hosts ?? []))
      );
      if (clashing.length === 0) return [];
      const message = `Conflict with gateways ${clashing.map(keyOf).join(",")} (workload selector ` +
        `${text(gateway.spec.selector)}, port ${number}, hosts ${hosts.join(",")}).`;
      return [finding("IST0145", gateway, ["spec", "servers"], message)];
    });
    return [...clashes, ...duplicateCertificates(gateway, others)];
  });
}

function sharesHost(hosts: string[], others: string[]): boolean {
  return hosts.some((host) => others.includes(host));
}

function duplicateCertificates(gateway: Gateway, others: Gateway[]): Finding[] {
  const names = credentials(gateway);
  const same = others.filter((other) => credentials(other).some((name) => names.includes(name)));
  if (same.length === 0) return [];
  const all = [gateway, ...same].map(keyOf).sort().join(" ");
  const message =
    `Duplicate certificate in multiple gateways [${all}] may cause 404s if clients re-use HTTP2 connections.`;
  return [finding("IST0138", gateway, ["spec", "servers"], message)];
}

function credentials({ spec }: Gateway): string[] {
  return (spec.servers ?? []).flatMap(({ tls }) => tls?.credentialName === undefined ? [] : [tls.credentialName]);
}

function text(selector: Record<string, string> = {}): string {
  return Object.entries(selector).map(([key, value]) => `${key}=${value}`).sort().join(",");
}
