/** Which hosts of a server a VirtualService may be reached under. */
import { hostMatches } from "../../istio/host.ts";
import type { GatewayServer } from "../../istio/types.ts";

/** The hosts that a server has for VirtualServices of a namespace, in lower case. */
export function hostsFor(server: GatewayServer, gatewayNamespace: string, namespace: string): string[] {
  return server.hosts.flatMap((host) => {
    const [allowed, name] = split(host);
    const meant = allowed === "." ? gatewayNamespace : allowed;
    return meant === "*" || meant === namespace ? [name] : [];
  });
}

/** All hosts of a server, without their namespaces, in lower case. */
export function hostsOf(server: GatewayServer): string[] {
  return [...new Set(server.hosts.map((host) => split(host)[1]))];
}

/** Of each pair that can mean the same host the more specific one, each once. */
export function commonHosts(serverHosts: readonly string[], hosts: readonly string[]): string[] {
  const common = new Set<string>();
  for (const host of hosts.map((host) => host.toLowerCase())) {
    for (const own of serverHosts) {
      if (hostMatches(own, host)) common.add(isNarrower(own, host) ? own : host);
    }
  }
  return [...common];
}

function split(host: string): [string, string] {
  const slash = host.indexOf("/");
  return slash < 0 ? ["*", host.toLowerCase()] : [host.slice(0, slash), host.slice(slash + 1).toLowerCase()];
}

/** Of two that match: whether the first is within the second. */
function isNarrower(one: string, other: string): boolean {
  if (!one.startsWith("*")) return true;
  return other.startsWith("*") && one.length > other.length;
}
