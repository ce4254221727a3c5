/** agent.yaml for one machine of a mesh on loopback addresses. */
import { stringify } from "yaml";

export interface Workload {
  service: string;
  serviceAccount: string;
  version: string;
  /** Port of the service; the application listens on the same port of {@link localAddress}. */
  port: number;
  /** The workload's own address: where it reaches the mesh, and where its application listens. */
  localAddress: string;
  /** The agent is not told of {@link localAddress}, so that it cannot know whose request is whose. */
  anonymous?: boolean;
  namespace?: string;
}

export interface Machine {
  name: string;
  /** What peers dial; also where operators reach the agent. */
  address: string;
  /** Addresses for services. */
  vipRange: string;
  workloads: Workload[];
  /** It serves Gateways that select these labels, as this service account. */
  gateway?: { labels: Record<string, string>; serviceAccount: string };
}

export function agentFile(machine: Machine, controlPlane: string): string {
  return stringify({
    apiVersion: "skiff.dev/v1",
    kind: "Agent",
    metadata: { name: machine.name },
    spec: {
      controlPlane,
      address: machine.address,
      localAddress: machine.address,
      ...(machine.gateway === undefined ? {} : { gateway: machine.gateway }),
      vipRange: machine.vipRange,
      workloads: machine.workloads.map((workload) => ({
        service: workload.service,
        namespace: workload.namespace ?? "default",
        serviceAccount: workload.serviceAccount,
        labels: { app: workload.service, version: workload.version },
        ports: [{
          name: "http",
          port: workload.port,
          protocol: "HTTP",
          target: `${workload.localAddress}:${workload.port}`,
        }],
        ...(workload.anonymous ? {} : { localAddress: workload.localAddress }),
      })),
    },
  });
}
