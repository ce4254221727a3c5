/** From agent.yaml to what the agent runs: one plan per workload, each an xDS node of its own. */
import { createSocket } from "node:dgram";
import type { WorkloadNode } from "../../routing/xds/node.ts";
import configuration from "../../deno.json" with { type: "json" };
import type { AgentFile, AgentGateway, AgentWorkload, ReadinessProbe } from "./agent_file.ts";
import { lowestPort } from "./lowest_port.ts";
import { AgentStartError } from "./agent_start_error.ts";
import type { Probe } from "./probe.ts";
import type { WorkloadPlan } from "./workload_agent.ts";

/** The plan of every workload, and of the gateway. `address` is what peers dial. Throws {@link AgentStartError}. */
export function planWorkloads(file: AgentFile, address: string): WorkloadPlan[] {
  const plans: WorkloadPlan[] = file.workloads.map((workload) => ({
    node: nodeOf(file, workload, address),
    identity: `${workload.namespace}/${workload.serviceAccount}`,
    probe: workload.probe === null ? null : probeOf(workload.probe),
  }));
  if (file.gateway !== null) plans.push(planGateway(file, file.gateway, address));
  return plans;
}

/** A gateway is a node of its own, which serves nothing but what Gateways say. */
function planGateway(file: AgentFile, gateway: AgentGateway, address: string): WorkloadPlan {
  const { name, labels, namespace, serviceAccount } = gateway;
  const node: WorkloadNode = {
    type: "router",
    agent: file.name,
    workload: name,
    namespace,
    serviceAccount,
    service: "",
    labels,
    address,
    inboundPort: file.ports.inbound,
    httpProxy: null,
    locality: file.locality,
    ports: [],
    version: configuration.version,
  };
  return { node, identity: `${namespace}/${serviceAccount}`, probe: null };
}

/** True when some workload could only be told apart by an address that it does not have. */
export function needsRefusingListener(file: AgentFile): boolean {
  return file.workloads.length > 1 && file.workloads.some((workload) => workload.localAddress === "");
}

/** The file's address, else the one from which this machine reaches its control plane. */
export async function agentAddress(file: AgentFile): Promise<string> {
  if (file.address !== "") return file.address;
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  const socket = createSocket(file.controlPlane.host.includes(":") ? "udp6" : "udp4");
  socket.on("error", reject);
  // Connecting a datagram socket sends nothing: the kernel only chooses a route and with it an address.
  socket.connect(file.controlPlane.port, file.controlPlane.host, () => resolve(socket.address().address));
  try {
    return await promise;
  } catch (cause) {
    throw new AgentStartError(
      `no address of this machine leads to the control plane ${file.controlPlane.host}`,
      "set spec.address to the address that peers dial",
      { cause },
    );
  } finally {
    socket.close();
  }
}

function nodeOf(file: AgentFile, workload: AgentWorkload, address: string): WorkloadNode {
  const own = workload.localAddress !== "" ? workload.localAddress : null;
  const proxyAddress = own ?? (file.workloads.length === 1 ? file.localAddress : null);
  return {
    agent: file.name,
    workload: workload.name,
    namespace: workload.namespace,
    serviceAccount: workload.serviceAccount,
    service: workload.service,
    labels: workload.labels,
    address,
    inboundPort: file.ports.inbound,
    httpProxy: proxyAddress === null ? null : { address: proxyAddress, port: file.ports.httpProxy },
    ...virtualFields(file, workload),
    locality: file.locality,
    ports: workload.ports.map(({ name, port, protocol, target }) => ({
      name,
      number: port,
      protocol,
      targetAddress: target.address,
      targetPort: target.port,
    })),
    version: configuration.version,
  };
}

/** A lone workload has the whole range; of several, each that has an address of its own has a sixteenth. */
function virtualFields({ workloads, vipRange }: AgentFile, workload: AgentWorkload) {
  const port = lowestPort();
  const lowest = port === undefined ? {} : { lowestPort: port };
  if (workloads.length === 1) return { vipRange, ...lowest };
  const index = workloads.filter(({ localAddress }) => localAddress !== "").indexOf(workload);
  const range = index < 0 ? undefined : sixteenth(vipRange, index);
  return range === undefined ? {} : { vipRange: range, ...lowest };
}

/** `127.64.16.0/20` is the second sixteenth of `127.64.0.0/16`; `undefined` where there is none of use. */
function sixteenth(range: string, index: number): string | undefined {
  const [base, prefix] = range.split("/");
  const length = Number(prefix) + 4;
  if (index >= 16 || !(length <= 30)) return undefined;
  const size = 2 ** (32 - length);
  const number = base.split(".").reduce((sum, part) => sum * 256 + Number(part), 0);
  const start = number - number % (size * 16) + index * size;
  return `${[24, 16, 8, 0].map((shift) => Math.floor(start / 2 ** shift) % 256).join(".")}/${length}`;
}

function probeOf(probe: ReadinessProbe): Probe {
  return {
    check: checkOf(probe),
    initialDelay: probe.initialDelaySeconds * 1000,
    timeout: probe.timeoutSeconds * 1000,
    period: probe.periodSeconds * 1000,
    successThreshold: probe.successThreshold,
    failureThreshold: probe.failureThreshold,
  };
}

function checkOf({ httpGet, tcpSocket, exec, grpc }: ReadinessProbe): Probe["check"] {
  if (httpGet !== undefined) {
    const host = httpGet.host.includes(":") ? `[${httpGet.host}]` : httpGet.host;
    return {
      kind: "http",
      url: new URL(httpGet.path, `${httpGet.scheme.toLowerCase()}://${host}:${httpGet.port}`).href,
      headers: httpGet.httpHeaders.map(({ name, value }) => [name, value]),
    };
  }
  if (tcpSocket !== undefined) return { kind: "tcp", hostname: tcpSocket.host, port: tcpSocket.port };
  if (exec !== undefined) return { kind: "exec", command: exec.command };
  // Exactly one of the four is there.
  return { kind: "grpc", address: `127.0.0.1:${grpc!.port}`, service: grpc!.service };
}
