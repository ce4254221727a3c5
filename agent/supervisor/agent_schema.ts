/** The shape of agent.yaml as it is written. */
import { list, object, required } from "../../routing/yaml/collections.ts";
import type { Cursor } from "../../routing/yaml/cursor.ts";
import { anything, enumeration, type Schema, string } from "../../routing/yaml/schema.ts";
import {
  dnsLabel,
  dnsSubdomain,
  isAddress,
  isSubnet,
  labels,
  locality,
  portNumber,
} from "../../routing/istio/schema/names.ts";
import { type ReadinessProbe, readinessProbe } from "../../routing/istio/schema/readiness_probe.ts";
import { protocol } from "../../routing/istio/schema/protocol.ts";
import { portName } from "../../routing/istio/schema/workload_entry.ts";
import type { AgentPorts } from "./agent_file.ts";
import { parseHostPort, parseTarget } from "./target.ts";

export interface WrittenAgent {
  apiVersion: "skiff.dev/v1";
  kind: "Agent";
  metadata: { name: string };
  spec: WrittenSpec;
}

export interface WrittenSpec {
  controlPlane: string;
  address?: string;
  localAddress?: string;
  vipRange?: string;
  ports?: Partial<AgentPorts>;
  locality?: string;
  capture?: "none" | "nftables";
  gateway?: WrittenGateway;
  workloads?: WrittenWorkload[];
}

export interface WrittenGateway {
  labels: Record<string, string>;
  serviceAccount?: string;
  namespace?: string;
}

export interface WrittenWorkload {
  service?: string;
  namespace?: string;
  serviceAccount?: string;
  labels?: Record<string, string>;
  ports?: WrittenPort[];
  probe?: ReadinessProbe;
  localAddress?: string;
  process?: unknown;
  workloadGroup?: string;
  target?: string;
}

export interface WrittenPort {
  name?: string;
  port: number;
  protocol?: string;
  target?: string;
}

export const defaultVipRange = "127.64.0.0/16";

/** A text rule: IP address. */
function ipAddress(value: string): string | undefined {
  return isAddress(value) ? undefined : "be an IP address";
}

/** A text rule: where an application listens. */
function target(value: string): string | undefined {
  return parseTarget(value, 1) === undefined ? "be ADDRESS:PORT or unix:/path" : undefined;
}

const port: Schema<WrittenPort> = object<WrittenPort>({
  name: string(portName),
  port: required(portNumber),
  protocol: string(protocol),
  target: string(target),
});

const workload: Schema<WrittenWorkload> = object<WrittenWorkload>({
  service: string(dnsLabel),
  namespace: string(dnsLabel),
  serviceAccount: string(dnsSubdomain),
  labels,
  ports: list(port),
  probe: readinessProbe,
  localAddress: string(ipAddress),
  process: anything,
  workloadGroup: string(dnsSubdomain),
  target: string(ipAddress),
}, {
  rules: (_, cursor) => {
    if (cursor.has("workloadGroup")) return notInForce(cursor, "workloadGroup");
    if (cursor.has("target")) cursor.atKey("target").error("goes with workloadGroup; each of ports has its own target");
    if (!cursor.has("service") && !cursor.has("serviceAccount")) {
      cursor.at("service").error("is required; a workload that only calls has a serviceAccount instead");
    }
    const ports = cursor.at("ports").items().length;
    if (cursor.has("service") && ports === 0) cursor.at("ports").error("is required: a service has at least one port");
    if (!cursor.has("service") && ports > 0) cursor.at("service").error("is required where there are ports");
    if (cursor.has("process")) notInForce(cursor, "process");
  },
});

const gateway: Schema<WrittenGateway> = object<WrittenGateway>({
  labels: required(labels),
  serviceAccount: string(dnsSubdomain),
  namespace: string(dnsLabel),
});

const ports: Schema<Partial<AgentPorts>> = object<Partial<AgentPorts>>({
  inbound: portNumber,
  outbound: portNumber,
  httpProxy: portNumber,
  admin: portNumber,
  metrics: portNumber,
  health: portNumber,
  dns: portNumber,
});

const spec: Schema<WrittenSpec> = object<WrittenSpec>({
  controlPlane: required(string((value) => parseHostPort(value, 1) ? undefined : "be HOST:PORT")),
  address: string((value) => value === "" ? undefined : ipAddress(value)),
  localAddress: string(ipAddress),
  vipRange: string((value) =>
    isSubnet(value) && !value.includes(":") ? undefined : `be a range of IPv4 addresses such as ${defaultVipRange}`
  ),
  ports,
  locality: string((value) => value === "" ? undefined : locality(value)),
  capture: enumeration("none", "nftables"),
  gateway,
  workloads: list(workload),
}, {
  rules: ({ capture }, cursor) => {
    if (capture === "nftables") notInForce(cursor, "capture");
    if (!cursor.has("workloads") && !cursor.has("gateway")) {
      cursor.at("workloads").error("is required; an agent that is only a gateway has gateway instead");
    }
  },
});

export const agentSchema: Schema<WrittenAgent> = object<WrittenAgent>({
  apiVersion: required(enumeration("skiff.dev/v1")),
  kind: required(enumeration("Agent")),
  metadata: required(object<{ name: string }>({ name: required(string(dnsSubdomain)) })),
  spec: required(spec),
});

function notInForce(cursor: Cursor, name: string): void {
  cursor.atKey(name).warning("accepted but not in force in this version");
}
