/** Which bookinfo application runs on which machine. */
import type { ApplicationOptions } from "./bookinfo/application.ts";
import type { Machine, Workload } from "./harness/agent_file.ts";
import type { LoopbackBlock } from "./harness/loopback.ts";

export const port = 9080;
/** Of the gateway, which the first machine's agent is besides. */
export const gatewayAccount = "bookinfo-gateway";
export const gatewayPort = 8080;
export const httpProxyPort = 15_002;

/** For each machine, the service and version of every workload on it; `anonymous`: see {@link Workload.anonymous}. */
export type Placement = [service: ApplicationOptions["service"], version: string, identified?: "anonymous"][][];

/** Three machines, one agent each: productpage alone, then three workloads with addresses of their own on each. */
export const wholeBookinfo: Placement = [
  [["productpage", "v1"]],
  [["details", "v1"], ["reviews", "v1"], ["ratings", "v1"]],
  [["reviews", "v2"], ["reviews", "v3"], ["ratings", "v1"]],
];

/** Machines `vm-1`, `vm-2` … with a loopback address each, and one for every workload. */
export function bookinfoMachines(block: LoopbackBlock, placement: Placement): Machine[] {
  return placement.map((applications, index) => ({
    name: `vm-${index + 1}`,
    address: block.machine(index + 1),
    ...(index === 0 ? { gateway: { labels: { istio: "ingressgateway" }, serviceAccount: gatewayAccount } } : {}),
    vipRange: block.virtual(index + 1),
    workloads: applications.map(([service, version, identified], position): Workload => ({
      service,
      version,
      anonymous: identified === "anonymous",
      serviceAccount: `bookinfo-${service}`,
      port,
      localAddress: block.workload(index + 1, position + 1),
    })),
  }));
}

/** The applications of one machine: each calls others through its own workload's proxy address. */
export function applicationsOf(machine: Machine): ApplicationOptions[] {
  return machine.workloads.map(({ service, version, localAddress }) => ({
    service: service as ApplicationOptions["service"],
    version,
    address: localAddress,
    port,
    proxy: proxyUrl(localAddress),
  }));
}

export function proxyUrl(localAddress: string): string {
  return `http://${localAddress}:${httpProxyPort}`;
}

export function spiffeId(serviceAccount: string, namespace = "default"): string {
  return `spiffe://cluster.local/ns/${namespace}/sa/${serviceAccount}`;
}
