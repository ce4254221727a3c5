/** `agent.yaml`: what one node agent is told about itself and its workloads. */
import { Cursor, Report } from "../../routing/yaml/cursor.ts";
import { parseYaml } from "../../routing/yaml/parse.ts";
import { inOrderOfText, type Problem, problemOf } from "../../routing/istio/problem.ts";
import {
  agentSchema,
  defaultVipRange,
  type WrittenAgent,
  type WrittenGateway,
  type WrittenWorkload,
} from "./agent_schema.ts";
import { checkAgent } from "./agent_rules.ts";
import { parseHostPort, parseTarget, type Target } from "./target.ts";

export type { Target } from "./target.ts";

/** A whole agent.yaml with every default filled in. */
export interface AgentFile {
  /** `metadata.name`: unique in the mesh. */
  name: string;
  /** Where the control plane serves xDS. */
  controlPlane: { host: string; port: number };
  /** IP address that peers dial and inbound listeners bind; empty: the address towards the control plane. */
  address: string;
  /** IP address for local applications, operators and scrapers. */
  localAddress: string;
  /** Loopback addresses for services, `127.64.0.0/16`. */
  vipRange: string;
  ports: AgentPorts;
  /** `region/zone/subzone`, or empty. */
  locality: string;
  /** At least one, unless there is a gateway. */
  workloads: AgentWorkload[];
  /** `null`: it serves no Gateways. */
  gateway: AgentGateway | null;
}

export interface AgentGateway {
  /** Unique among the names of the agent's workloads. */
  name: string;
  /** What Gateways select it by. */
  labels: Record<string, string>;
  namespace: string;
  /** With the namespace its identity towards services. */
  serviceAccount: string;
}

export interface AgentPorts {
  inbound: number;
  outbound: number;
  httpProxy: number;
  admin: number;
  metrics: number;
  health: number;
  dns: number;
}

/** Istio's ports where it has them (15000, 15001, 15006, 15020, 15021, 15053). */
export const defaultAgentPorts: Readonly<AgentPorts> = {
  inbound: 15006,
  outbound: 15001,
  httpProxy: 15002,
  admin: 15000,
  metrics: 15020,
  health: 15021,
  dns: 15053,
};

export interface AgentWorkload {
  /** Unique on the agent: the service's name, with the version, then the namespace, where several would share it. */
  name: string;
  /** Short name of its service; empty: it serves nothing and only calls. */
  service: string;
  namespace: string;
  /** With the namespace its SPIFFE identity; `default` where none is written. */
  serviceAccount: string;
  labels: Record<string, string>;
  ports: AgentWorkloadPort[];
  /** `null`: ready from the start. */
  probe: ReadinessProbe | null;
  /** IP address that only this workload uses to reach the mesh; empty: it has none of its own. */
  localAddress: string;
}

export interface AgentWorkloadPort {
  /** May be empty where it is the only port. */
  name: string;
  /** The service's port number: what callers name. */
  port: number;
  /** As written; empty: the port's name decides. */
  protocol: string;
  target: Target;
}

/** Istio's ReadinessProbe with its defaults: exactly one of the four checks is there. Times are seconds. */
export interface ReadinessProbe {
  initialDelaySeconds: number;
  timeoutSeconds: number;
  periodSeconds: number;
  successThreshold: number;
  failureThreshold: number;
  httpGet?: {
    path: string;
    port: number;
    host: string;
    scheme: "HTTP" | "HTTPS";
    httpHeaders: { name: string; value: string }[];
  };
  tcpSocket?: { host: string; port: number };
  exec?: { command: string[] };
  grpc?: { port: number; service: string };
}

const defaultControlPlanePort = 15012;

/**
 * Reads agent.yaml and reports everything that is wrong with it. Never throws, whatever the text.
 *
 * @param file Name for messages.
 * @returns no agent when there is an error among the problems.
 */
export function parseAgentFile(file: string, text: string): { agent: AgentFile | undefined; problems: Problem[] } {
  const { documents, problems: unreadable } = parseYaml(text);
  const subject = { kind: "Agent", namespace: "", name: "" };
  const problems = unreadable.map((problem) => problemOf(file, subject, { severity: "error", path: "", ...problem }));
  const report = new Report();
  const [document, second] = documents;
  if (document === undefined) {
    if (problems.length > 0) return { agent: undefined, problems };
    const message = "is empty: an agent needs apiVersion: skiff.dev/v1, kind: Agent, metadata.name and spec";
    const position = { line: 1, column: 1 };
    return {
      agent: undefined,
      problems: [problemOf(file, subject, { severity: "error", position, path: "", message })],
    };
  }
  if (second !== undefined) {
    new Cursor(second, report).error("must be the only document of the file: remove the others");
  }
  const cursor = new Cursor(document, report);
  const written = agentSchema(cursor);
  const agent = written && withDefaults(written);
  if (agent !== undefined) checkAgent(agent, cursor.at("spec"));
  const { node } = cursor.at("metadata", "name");
  const name = node.type === "scalar" && typeof node.value === "string" ? node.value.slice(0, 253) : "";
  problems.push(...report.issues.map((issue) => problemOf(file, { ...subject, name }, issue)));
  const good = report.errors === 0 && unreadable.length === 0;
  return { agent: good ? agent : undefined, problems: inOrderOfText(problems) };
}

function withDefaults({ metadata, spec }: WrittenAgent): AgentFile {
  // A workload of a WorkloadGroup is not in force: the schema has warned.
  const workloads = (spec.workloads ?? []).filter((workload) => workload.workloadGroup === undefined);
  const names = workloadNames(workloads);
  return {
    name: metadata.name,
    controlPlane: parseHostPort(spec.controlPlane, defaultControlPlanePort)!,
    address: spec.address ?? "",
    localAddress: spec.localAddress ?? "127.0.0.1",
    vipRange: spec.vipRange ?? defaultVipRange,
    ports: { ...defaultAgentPorts, ...spec.ports },
    locality: spec.locality ?? "",
    workloads: workloads.map((workload, index) => workloadOf(workload, names[index])),
    gateway: spec.gateway === undefined ? null : gatewayOf(spec.gateway, workloads[0]),
  };
}

/** What it does not say is as with the first workload. */
function gatewayOf({ labels, serviceAccount, namespace }: WrittenGateway, first?: WrittenWorkload): AgentGateway {
  return {
    name: labels.app ?? labels.istio ?? "gateway",
    labels,
    namespace: namespace ?? (first === undefined ? "default" : namespaceOf(first)),
    serviceAccount: serviceAccount ?? first?.serviceAccount ?? "default",
  };
}

function workloadOf(written: WrittenWorkload, name: string): AgentWorkload {
  const ports = (written.ports ?? []).map(({ name = "", port, protocol = "", target }) => ({
    name,
    port,
    protocol,
    target: parseTarget(target ?? `127.0.0.1:${port}`, port)!,
  }));
  return {
    name,
    service: written.service ?? "",
    namespace: namespaceOf(written),
    serviceAccount: written.serviceAccount ?? "default",
    labels: written.labels ?? {},
    ports,
    probe: probeOf(written.probe),
    localAddress: written.localAddress ?? "",
  };
}

/** Istio's defaults; as in Istio, 0 stands for the default too, but for the initial delay. */
function probeOf(written: WrittenWorkload["probe"]): ReadinessProbe | null {
  if (written === undefined) return null;
  const { httpGet, tcpSocket, exec, grpc } = written;
  return {
    initialDelaySeconds: written.initialDelaySeconds ?? 0,
    timeoutSeconds: written.timeoutSeconds || 1,
    periodSeconds: written.periodSeconds || 10,
    successThreshold: written.successThreshold || 1,
    failureThreshold: written.failureThreshold || 3,
    ...httpGet && {
      httpGet: {
        path: httpGet.path ?? "/",
        port: httpGet.port,
        host: httpGet.host ?? "127.0.0.1",
        scheme: httpGet.scheme || "HTTP",
        httpHeaders: (httpGet.httpHeaders ?? []).map(({ name, value }) => ({ name, value: value ?? "" })),
      },
    },
    ...tcpSocket && { tcpSocket: { host: tcpSocket.host ?? "127.0.0.1", port: tcpSocket.port } },
    ...exec && { exec },
    ...grpc && { grpc: { port: grpc.port, service: grpc.service ?? "" } },
  };
}

function namespaceOf(workload: WrittenWorkload): string {
  return workload.namespace ?? "default";
}

/** The shortest of these that no other workload of the agent shares. Two that share the longest are refused later. */
function workloadNames(workloads: WrittenWorkload[]): string[] {
  const candidates = workloads.map((workload) => {
    const short = workload.service ?? workload.serviceAccount ?? "default";
    const versioned = [short, workload.labels?.version].filter(Boolean).join("-");
    return [short, versioned, `${versioned}-${namespaceOf(workload)}`];
  });
  return candidates.map((own, index) => {
    const alone = (name: string, level: number) =>
      candidates.every((other, otherIndex) => otherIndex === index || other[level] !== name);
    return own.find(alone) ?? own[2];
  });
}
