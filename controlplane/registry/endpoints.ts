/** Endpoints of services: from WorkloadEntries, from a ServiceEntry's own list, from agents' registrations. */
import { isIP } from "node:net";
import type { WorkloadEntry, WorkloadEntrySpec } from "../../routing/istio/types.ts";
import type { Endpoint } from "../../routing/mesh.ts";
import type { RegisteredWorkload } from "./registered_workloads.ts";

/** A port of a service, and where a workload that says nothing else of it listens. */
export interface DialledPort {
  name: string;
  number: number;
  /** A number, or the name of one of the workload's ports. */
  target: number | string;
}

/** Istio's label by which a WorkloadEntry says that a mesh proxy serves it. */
const tlsModeLabel = "security.istio.io/tlsMode";

/** What the address of a WorkloadEntry may be, by the resolution of the service that it is for. */
export type AddressKind = "address" | "name";

const unixScheme = "unix://";

/**
 * The endpoint that a WorkloadEntry is for these ports; `null` where it has none of the ports, or an address that the
 * service's resolution cannot use: a name where nobody resolves names.
 */
export function entryEndpoint(
  spec: WorkloadEntrySpec,
  place: { namespace: string; name: string },
  ports: DialledPort[],
  kind: AddressKind = "address",
): Endpoint | null {
  const { address = "", labels = {} } = spec;
  const isSocket = address.startsWith(unixScheme);
  if (address === "" || (kind === "address" ? isIP(address) === 0 && !isSocket : isSocket)) return null;
  const dialled: Record<number, number> = {};
  for (const { name, number, target } of ports) {
    // An entry's own ports go by the service port's name; a named target port goes by its own.
    // A socket has no port, and serves the one that the service has.
    const port = isSocket
      ? 0
      : own(spec.ports, name) ?? (typeof target === "number" ? target : own(spec.ports, target));
    if (port !== undefined) dialled[number] = port;
  }
  if (Object.keys(dialled).length === 0) return null;
  return {
    address,
    ports: dialled,
    tlsMode: own(labels, tlsModeLabel) === "istio" ? "istio" : "disabled",
    labels,
    namespace: place.namespace,
    serviceAccount: spec.serviceAccount ?? "",
    workload: place.name,
    locality: spec.locality ?? "",
    weight: spec.weight ?? 1,
    healthy: true,
  };
}

/** WorkloadEntries by namespace and label, so that a selector looks at few of a large mesh's. */
export class EntryIndex {
  readonly #byLabel = new Map<string, WorkloadEntry[]>();

  constructor(entries: Iterable<WorkloadEntry>) {
    for (const entry of entries) {
      for (const [key, value] of Object.entries(entry.spec.labels ?? {})) {
        const place = placeOf(entry.metadata.namespace, key, value);
        const known = this.#byLabel.get(place);
        if (known === undefined) this.#byLabel.set(place, [entry]);
        else known.push(entry);
      }
    }
  }

  /** Those of a namespace that a selector chooses, in the order in which they came; none for an empty selector. */
  selected(namespace: string, selector: Record<string, string>): WorkloadEntry[] {
    const candidates = Object.entries(selector)
      .map(([key, value]) => this.#byLabel.get(placeOf(namespace, key, value)) ?? [])
      .sort((one, other) => one.length - other.length);
    return (candidates[0] ?? []).filter(({ spec }) => matches(selector, spec.labels ?? {}));
  }
}

function placeOf(namespace: string, key: string, value: string): string {
  return `${namespace} ${key}=${value}`;
}

/** The endpoints of the WorkloadEntries of a namespace that a selector chooses; none for an empty selector. */
export function selectedEndpoints(
  entries: EntryIndex,
  namespace: string,
  selector: Record<string, string>,
  ports: DialledPort[],
  kind: AddressKind = "address",
): Endpoint[] {
  return entries.selected(namespace, selector)
    .map(({ metadata, spec }) => entryEndpoint(spec, metadata, ports, kind))
    .filter((endpoint) => endpoint !== null);
}

/** The endpoint of a registered workload: its agent's inbound port, for each of the service's ports that it serves. */
export function workloadEndpoint({ node, healthy }: RegisteredWorkload, ports: { number: number }[]): Endpoint | null {
  const served = ports.filter(({ number }) => node.ports.some((port) => port.number === number));
  if (served.length === 0) return null;
  return {
    address: node.address,
    ports: Object.fromEntries(served.map(({ number }) => [number, node.inboundPort])),
    workloadPorts: Object.fromEntries(served.map(({ number }) => [number, number])),
    tlsMode: "istio",
    labels: node.labels,
    namespace: node.namespace,
    serviceAccount: node.serviceAccount,
    workload: node.workload,
    locality: node.locality,
    weight: 1,
    healthy,
  };
}

/** Whether the labels have all that the selector asks for. */
export function matches(selector: Record<string, string>, labels: Record<string, string>): boolean {
  return Object.entries(selector).every(([key, value]) => own(labels, key) === value);
}

function own<Value>(record: Record<string, Value> | undefined, key: string): Value | undefined {
  return record !== undefined && Object.hasOwn(record, key) ? record[key] : undefined;
}
