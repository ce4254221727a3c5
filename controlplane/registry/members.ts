/** Puts registered workloads behind the services they name; makes the service where no resource has. */
import { portProtocol } from "../../routing/compile/protocol.ts";
import { resolveHost } from "../../routing/istio/host.ts";
import type { Service, ServicePort } from "../../routing/mesh.ts";
import type { WorkloadNode } from "../../routing/xds/node.ts";
import { matches, workloadEndpoint } from "./endpoints.ts";
import type { Conflict, PublishedHost } from "./published_hosts.ts";
import type { RegisteredWorkload } from "./registered_workloads.ts";

const dnsLabel = /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/;

/** The members of one host and what came of them. */
interface HostMembers {
  host: PublishedHost | undefined;
  workloads: RegisteredWorkload[];
  /** `null`: no workload could join or make it. */
  service: Service | null;
  conflicts: Conflict[];
}

/** All services: the published ones with their members, and those that registrations make. */
export class Members {
  readonly #domain: string;
  readonly #exportTo: string[];
  #before: ReadonlyMap<string, HostMembers> = new Map();

  /** @param exportTo where services that registrations make are visible */
  constructor(domain: string, exportTo: string[] = ["*"]) {
    this.#domain = domain;
    this.#exportTo = exportTo;
  }

  /**
   * A workload's namespace comes from its certificate, so that nobody joins or makes a service of another namespace.
   *
   * A service whose host and members are those of the last call is the object of the last call.
   *
   * @param hosts never changed
   */
  of(
    hosts: ReadonlyMap<string, PublishedHost>,
    workloads: RegisteredWorkload[],
  ): { services: Map<string, Service>; conflicts: Conflict[] } {
    const services = new Map<string, Service>();
    for (const [hostname, { service }] of hosts) services.set(hostname, service);
    const conflicts: Conflict[] = [];
    const serving = workloads.filter(({ node }) => node.service !== "");
    const now = new Map<string, HostMembers>();
    for (const [hostname, members] of Map.groupBy(serving, ({ node }) => hostnameOf(node, hosts, this.#domain))) {
      const host = hosts.get(hostname);
      const before = this.#before.get(hostname);
      const joined = before !== undefined && before.host === host && sameWorkloads(before.workloads, members)
        ? before
        : join(hostname, host, members, this.#exportTo);
      // What changed in a workload may be nothing that others see.
      if (before !== undefined && same(before.service, joined.service)) joined.service = before.service;
      now.set(hostname, joined);
      if (joined.service !== null) services.set(hostname, joined.service);
      conflicts.push(...joined.conflicts);
    }
    this.#before = now;
    return { services, conflicts };
  }
}

function same(one: Service | null, other: Service | null): boolean {
  return one === other || JSON.stringify(one) === JSON.stringify(other);
}

function sameWorkloads(one: RegisteredWorkload[], other: RegisteredWorkload[]): boolean {
  return one.length === other.length &&
    one.every(({ node, healthy }, index) => node === other[index].node && healthy === other[index].healthy);
}

function join(
  hostname: string,
  host: PublishedHost | undefined,
  workloads: RegisteredWorkload[],
  exportTo: string[],
): HostMembers {
  // A copy, so that members can be added: what resources publish stays as it is.
  const published = host === undefined ? null : { ...host.service, endpoints: [...host.service.endpoints] };
  let service: Service | null = null;
  const conflicts: Conflict[] = [];
  for (const workload of workloads) {
    const { node } = workload;
    const refusal = host === undefined ? refusalToMake(node) : refusalToJoin(node, host);
    if (refusal !== null) {
      conflicts.push(conflictOf(node, refusal));
      continue;
    }
    const joined: Service = service ?? published ?? made(node, hostname, exportTo);
    if (host === undefined) addPorts(joined, node, conflicts);
    const endpoint = workloadEndpoint(workload, joined.ports);
    if (endpoint !== null) {
      joined.endpoints.push(endpoint);
      service = joined;
    } else if (node.ports.length > 0) {
      conflicts.push(conflictOf(node, `it serves none of the ports of ${hostname}: ${portsOf(joined.ports)}`));
    }
  }
  return { host, workloads, service, conflicts };
}

/** The host that a workload's `service` means; routing finds the same name for its inbound filter chains. */
function hostnameOf(
  { service, namespace }: WorkloadNode,
  hosts: ReadonlyMap<string, PublishedHost>,
  domain: string,
): string {
  const hostname = resolveHost(service, namespace, domain);
  return !hosts.has(hostname) && hosts.get(service)?.service.namespace === namespace ? service : hostname;
}

function refusalToJoin(node: WorkloadNode, { service, selector, publisher }: PublishedHost): string | null {
  const { kind, namespace, name } = publisher;
  if (namespace !== node.namespace) return `${service.hostname} is a host of namespace ${namespace}`;
  if (service.location === "MESH_EXTERNAL") {
    return `${kind} ${namespace}/${name} is MESH_EXTERNAL: agents' workloads join one that is MESH_INTERNAL`;
  }
  if (!matches(selector, node.labels)) {
    const wanted = Object.entries(selector).map(([key, value]) => `${key}=${value}`).join(",");
    return `its labels do not match the selector of ${kind} ${namespace}/${name}: ${wanted}`;
  }
  return null;
}

function refusalToMake({ service }: WorkloadNode): string | null {
  if (dnsLabel.test(service)) return null;
  return `no ServiceEntry publishes ${
    JSON.stringify(service.slice(0, 253))
  }, and it is no name that a service could have`;
}

function made({ service, namespace }: WorkloadNode, hostname: string, exportTo: string[]): Service {
  return {
    hostname,
    name: service,
    namespace,
    ports: [],
    location: "MESH_INTERNAL",
    resolution: "STATIC",
    addresses: [],
    exportTo,
    subjectAltNames: [],
    endpoints: [],
  };
}

/** A service that registrations make has the ports of all of them; of two with one number the first holds. */
function addPorts(service: Service, node: WorkloadNode, conflicts: Conflict[]): void {
  for (const { name, number, protocol } of node.ports) {
    const port: ServicePort = { name, number, protocol: portProtocol(name, protocol) };
    const first = service.ports.find((known) => known.number === number);
    if (first === undefined) {
      service.ports.push(port);
    } else if (first.protocol !== port.protocol) {
      const message = `port ${number} of ${service.hostname} is ${first.protocol} by an earlier workload, ` +
        `here ${port.protocol}: give both one protocol`;
      conflicts.push(conflictOf(node, message));
    }
  }
  service.ports.sort((a, b) => a.number - b.number);
}

function portsOf(ports: ServicePort[]): string {
  return ports.map(({ number }) => number).join(", ") || "it has none";
}

function conflictOf({ namespace, agent, workload }: WorkloadNode, message: string): Conflict {
  return { kind: "Workload", namespace, name: `${workload}.${agent}`, message };
}
