/** The Host values by which a virtual host is found. */
import type { Service } from "../mesh.ts";

/** What a virtual host answers to. All in lower case. */
export interface Domains {
  /** Names that are the host's own. */
  own: string[];
  /** Short forms of them, which give way where another host is called so in full. */
  short: string[];
}

/**
 * The domains of one port of a service for a client's namespace: the hostname, its short forms and its addresses,
 * each with the port.
 *
 * @param bare whether this port also answers to the names without a port
 */
export function serviceDomains(
  service: Service,
  port: number,
  clientNamespace: string,
  domain: string,
  bare: boolean,
): Domains {
  const hostname = service.hostname.toLowerCase();
  return {
    own: withPort([hostname, ...service.addresses.filter(isHostAddress)], port, bare),
    short: withPort(shortNames(hostname, clientNamespace, domain), port, bare),
  };
}

/** The domains of a host that is no service. */
export function hostDomains(host: string, port: number): Domains {
  return { own: withPort([host.toLowerCase()], port, true), short: [] };
}

/**
 * `reviews.default.svc` and `reviews.default` for `reviews.default.svc.cluster.local`, and to clients of namespace
 * `default` also `reviews`. None for names of another form.
 */
function shortNames(hostname: string, clientNamespace: string, domain: string): string[] {
  const suffix = `.svc.${domain}`.toLowerCase();
  if (!hostname.endsWith(suffix)) return [];
  const qualified = hostname.slice(0, -suffix.length);
  const dot = qualified.indexOf(".");
  if (dot === -1 || qualified.startsWith("*")) return [];
  const names = [qualified, `${qualified}.svc`];
  return qualified.slice(dot + 1) === clientNamespace ? [qualified.slice(0, dot), ...names] : names;
}

function withPort(hosts: readonly string[], port: number, bare: boolean): string[] {
  return hosts.map(bracketed).flatMap((host) => bare ? [host, `${host}:${port}`] : [`${host}:${port}`]);
}

function bracketed(host: string): string {
  return host.includes(":") ? `[${host}]` : host;
}

/** Ranges of addresses cannot stand in a Host header. */
function isHostAddress(address: string): boolean {
  return !address.includes("/") && address !== "0.0.0.0" && address !== "::";
}
