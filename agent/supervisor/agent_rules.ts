/** What must fit together in an agent.yaml whose every field is right by itself. */
import type { Cursor } from "../../routing/yaml/cursor.ts";
import { quote } from "../../routing/yaml/node.ts";
import type { AgentFile, AgentPorts, AgentWorkload } from "./agent_file.ts";

/** Reports names, addresses and ports that clash. `spec` is the place of `spec` in the file. */
export function checkAgent(agent: AgentFile, spec: Cursor): void {
  if (agent.workloads.length === 0 && agent.gateway === null) {
    spec.at("workloads").error("must have at least one workload with a service or a serviceAccount");
  }
  checkAgentPorts(agent.ports, spec);
  const indices = indicesOfWorkloads(spec);
  const names = new Set(agent.gateway === null ? [] : [agent.gateway.name]);
  const addresses = new Map<string, string>();
  agent.workloads.forEach((workload, index) => {
    const at = spec.at("workloads", indices[index]);
    if (names.has(workload.name)) {
      at.error(
        workload.name === agent.gateway?.name
          ? `${quote(workload.name)} is the gateway's name too: give the gateway another label app`
          : `${quote(workload.name)} is here twice: the same service, version and namespace; give one another version`,
      );
    }
    names.add(workload.name);
    checkLocalAddress(agent, workload, addresses, at);
    checkWorkloadPorts(agent, workload, at);
  });
}

/** Workloads of groups are left out of the agent, so places in the file are not places in its list. */
function indicesOfWorkloads(spec: Cursor): number[] {
  return spec.at("workloads").items().flatMap((item, index) => item.has("workloadGroup") ? [] : [index]);
}

function checkAgentPorts(ports: AgentPorts, spec: Cursor): void {
  const owners = new Map<number, string>();
  for (const [name, port] of Object.entries(ports)) {
    const owner = owners.get(port);
    if (owner !== undefined) {
      // One of the two may be a default: the place to look at is the one that is written.
      const written = spec.at("ports").has(name) ? name : owner;
      const other = written === name ? owner : name;
      spec.at("ports", written).error(`${port} is the port of ${other} too: choose another`);
    }
    owners.set(port, name);
  }
}

function checkLocalAddress(agent: AgentFile, workload: AgentWorkload, owners: Map<string, string>, at: Cursor): void {
  const { localAddress, name } = workload;
  if (localAddress === "") return;
  const owner = owners.get(localAddress);
  if (owner !== undefined) {
    at.at("localAddress").error(`${localAddress} is ${quote(owner)}'s already: callers could not be told apart`);
  } else if (localAddress === agent.localAddress && agent.workloads.length > 1) {
    at.at("localAddress").error(`${localAddress} is the agent's own: callers could not be told apart`);
  }
  owners.set(localAddress, name);
}

function checkWorkloadPorts(agent: AgentFile, { ports }: AgentWorkload, at: Cursor): void {
  const names = new Set<string>();
  const numbers = new Set<number>();
  ports.forEach(({ name, port, target }, index) => {
    const place = at.at("ports", index);
    if (name === "" && ports.length > 1) place.at("name").error("is required where there are several ports");
    if (name !== "" && names.has(name)) place.at("name").error(`the port name ${quote(name)} is used twice`);
    if (numbers.has(port)) place.at("port").error(`the port ${port} is used twice`);
    if (port === agent.ports.inbound) place.at("port").error(`${port} is the agent's inbound port: choose another`);
    names.add(name);
    numbers.add(port);
    const own = agentPortAt(agent, target.address, target.port);
    if (own !== undefined) {
      place.at("target").error(`${target.address}:${target.port} is this agent's own ${own} port, not the application`);
    }
  });
}

function agentPortAt(agent: AgentFile, address: string, port: number): string | undefined {
  const { inbound, ...local } = agent.ports;
  if (address === agent.address && port === inbound) return "inbound";
  if (address !== agent.localAddress) return undefined;
  return Object.entries(local).find(([, own]) => own === port)?.[0];
}
