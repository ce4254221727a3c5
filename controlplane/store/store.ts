/** What the control plane keeps: resources and agents' registrations. Engines implement it; one table of cases tests all. */
import type { Resource } from "../../routing/istio/types.ts";
import type { WorkloadNode } from "../../routing/xds/node.ts";

/** Names one resource. */
export interface ResourceKey {
  kind: string;
  namespace: string;
  name: string;
}

export interface StoredResource {
  resource: Resource;
  /** Grows with every change of any resource; equal numbers mean equal content. */
  resourceVersion: number;
}

/** A workload that an agent has registered, so that a restarted control plane knows of it before it is back. */
export interface Registration {
  /** {@link workloadKey} of the node. */
  key: string;
  node: WorkloadNode;
}

export interface Store {
  /** All resources, by kind, namespace and name; of one kind when it is given. */
  resources(kind?: string): Promise<StoredResource[]>;
  resource(key: ResourceKey): Promise<StoredResource | null>;
  /**
   * Makes the store hold exactly these resources, as one change; those that are equal to what is stored keep their
   * version. Of two with one key the last one stays.
   *
   * @returns whether anything changed
   */
  replaceResources(resources: Resource[]): Promise<boolean>;
  registrations(): Promise<Registration[]>;
  putRegistration(registration: Registration): Promise<void>;
  deleteRegistration(key: string): Promise<void>;
  close(): Promise<void>;
}
