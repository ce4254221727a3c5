/** Which Sidecar is for a workload. */
import type { Sidecar } from "../../istio/sidecar_types.ts";
import type { Client } from "../destination_rules.ts";
import { selects } from "../labels.ts";

/** Sidecars of a mesh by namespace. */
export class SidecarIndex {
  readonly #byNamespace: Map<string, Sidecar[]>;
  readonly #rootNamespace: string;

  /** @param sidecars in order of precedence */
  constructor(sidecars: readonly Sidecar[], rootNamespace: string) {
    this.#byNamespace = Map.groupBy(sidecars, ({ metadata }) => metadata.namespace);
    this.#rootNamespace = rootNamespace;
  }

  /**
   * As in Istio: one that selects the workload before the namespace's own before the root namespace's; of several the
   * oldest. Gateways have none.
   */
  of({ type, namespace, labels }: Client): Sidecar | undefined {
    if (type === "router" || this.#byNamespace.size === 0) return undefined;
    const own = this.#byNamespace.get(namespace) ?? [];
    const selecting = own.find(({ spec: { workloadSelector } }) =>
      workloadSelector !== undefined && selects(workloadSelector.labels, labels)
    );
    return selecting ?? own.find(forAll) ?? this.#byNamespace.get(this.#rootNamespace)?.find(forAll);
  }
}

function forAll({ spec }: Sidecar): boolean {
  return spec.workloadSelector === undefined;
}
