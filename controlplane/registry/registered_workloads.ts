/** The workloads that agents have registered: by a stream each, and for a grace period after its end. */
import { logger } from "../../log/log.ts";
import type { WorkloadNode } from "../../routing/xds/node.ts";
import type { Registration } from "../store/store.ts";

/** Where registrations outlive the process. */
export interface RegistrationStore {
  registrations(): Promise<Registration[]>;
  putRegistration(registration: Registration): Promise<void>;
  deleteRegistration(key: string): Promise<void>;
}

/** One workload that peers may dial. */
export interface RegisteredWorkload {
  node: WorkloadNode;
  healthy: boolean;
}

export interface RegisteredWorkloadsOptions {
  store: RegistrationStore;
  /** Milliseconds for which a workload stays without a stream. */
  gracePeriod: number;
  onChange(): void;
}

interface Entry {
  node: WorkloadNode;
  healthy: boolean;
  /** By connection id, the newest last: while an agent reconnects, its old stream may not have been found dead yet. */
  connections: Map<string, { node: WorkloadNode; healthy: boolean }>;
  departure: ReturnType<typeof setTimeout> | undefined;
}

const log = logger("registry");
/** After a restart all agents come back, and their waits between tries have grown meanwhile. */
const restartFactor = 3;

/** Tells one workload from all others: by its agent, its identity and its name. */
export function workloadKey({ agent, namespace, serviceAccount, workload }: WorkloadNode): string {
  return [namespace, serviceAccount, agent, workload].join("/");
}

export class RegisteredWorkloads {
  readonly #options: RegisteredWorkloadsOptions;
  readonly #entries = new Map<string, Entry>();
  readonly #keys = new Map<string, string>();
  #writing = Promise.resolve();

  private constructor(options: RegisteredWorkloadsOptions) {
    this.#options = options;
  }

  /** Starts with the workloads that were there when the control plane stopped; they have to come back in time. */
  static async open(options: RegisteredWorkloadsOptions): Promise<RegisteredWorkloads> {
    const workloads = new RegisteredWorkloads(options);
    for (const { key, node } of await options.store.registrations()) {
      const entry: Entry = { node, healthy: true, connections: new Map(), departure: undefined };
      workloads.#entries.set(key, entry);
      workloads.#startDeparture(key, entry, options.gracePeriod * restartFactor);
    }
    return workloads;
  }

  /** All of them, in the order of their keys. */
  list(): RegisteredWorkload[] {
    return [...this.#entries.keys()].sort().map((key) => {
      const { node, healthy } = this.#entries.get(key)!;
      return { node, healthy };
    });
  }

  /** @param connection id of the stream, used once */
  connect(connection: string, node: WorkloadNode): void {
    const key = workloadKey(node);
    this.#keys.set(connection, key);
    let entry = this.#entries.get(key);
    if (entry === undefined) {
      log.info("workload registered", { workload: key, address: node.address });
      this.#entries.set(key, entry = { node, healthy: true, connections: new Map(), departure: undefined });
      this.#options.onChange();
    }
    clearTimeout(entry.departure);
    entry.departure = undefined;
    // Until the agent says otherwise, what was known of its health holds.
    entry.connections.set(connection, { node, healthy: entry.healthy });
    this.#write(() => this.#options.store.putRegistration({ key, node }));
    this.#follow(entry);
  }

  /** A stream has ended. */
  disconnect(connection: string): void {
    const { key, entry } = this.#find(connection);
    this.#keys.delete(connection);
    if (entry === undefined) return;
    entry.connections.delete(connection);
    if (entry.connections.size > 0) this.#follow(entry);
    else this.#startDeparture(key, entry, this.#options.gracePeriod);
  }

  setHealth(connection: string, healthy: boolean): void {
    const { entry } = this.#find(connection);
    const state = entry?.connections.get(connection);
    if (entry === undefined || state === undefined) return;
    state.healthy = healthy;
    this.#follow(entry);
  }

  /** Forgets nothing in the store: who is here now is expected back after a restart. */
  async close(): Promise<void> {
    for (const { departure } of this.#entries.values()) clearTimeout(departure);
    this.#entries.clear();
    this.#keys.clear();
    await this.#writing;
  }

  /** The newest stream speaks for the workload. */
  #follow(entry: Entry): void {
    const newest = [...entry.connections.values()].at(-1);
    if (newest === undefined) return;
    const same = entry.healthy === newest.healthy && JSON.stringify(entry.node) === JSON.stringify(newest.node);
    if (same) return;
    entry.node = newest.node;
    entry.healthy = newest.healthy;
    this.#options.onChange();
  }

  #startDeparture(key: string, entry: Entry, after: number): void {
    clearTimeout(entry.departure);
    entry.departure = setTimeout(() => {
      log.info("workload gone", { workload: key, address: entry.node.address });
      this.#entries.delete(key);
      this.#write(() => this.#options.store.deleteRegistration(key));
      this.#options.onChange();
    }, after);
  }

  #find(connection: string): { key: string; entry: Entry | undefined } {
    const key = this.#keys.get(connection) ?? "";
    return { key, entry: this.#entries.get(key) };
  }

  #write(change: () => Promise<void>): void {
    this.#writing = this.#writing.then(change).catch((error) => {
      log.error("a registration could not be stored; a restart would not know of it", { reason: String(error) });
    });
  }
}
