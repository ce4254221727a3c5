/** From the priorities and localities of a cluster to one host: which hosts may be chosen now, and with what share. */
import { drawPriority, effectiveLocalityWeight, type PriorityShare, priorityShares } from "./priority_load.ts";

/** The hosts of one locality within one priority. */
export interface LocalityHosts<H> {
  /** 0: none was given. */
  weight: number;
  all: readonly H[];
  /** Those of {@link all} that are healthy. */
  available: readonly H[];
}

export interface SelectionOptions {
  /** Percent; Envoy's default is 140. */
  overprovisioningFactor: number;
  /** Percent; 0: never use unhealthy hosts. */
  panicThreshold: number;
  /** Whether the weights of localities decide before a host of the locality is chosen. */
  localityWeighted: boolean;
}

/** A choice among fixed hosts, of which there is at least one. */
export interface Picker<H> {
  pick(): H;
}

/** One group of hosts within a priority, and where its share of the priority ends. */
interface Group<H> {
  picker: Picker<H>;
  cumulativeWeight: number;
}

/** Valid while no host changes its health: then make a new one. */
export class HostSelection<H> {
  readonly shares: readonly PriorityShare[];
  readonly #groups: Group<H>[][];
  readonly #random: () => number;

  /**
   * @param levels localities by priority, the most preferred first
   * @param random from 0 up to 1
   */
  constructor(
    levels: readonly (readonly LocalityHosts<H>[])[],
    options: SelectionOptions,
    newPicker: (hosts: readonly H[]) => Picker<H>,
    random: () => number,
  ) {
    this.#random = random;
    this.shares = levels.length === 0 ? [] : priorityShares(levels.map(health), options);
    this.#groups = levels.map((localities, i) => groups(localities, this.shares[i].panic, options, newPicker));
  }

  /** `null` where no host may be chosen. */
  choose(): H | null {
    const { shares } = this;
    if (shares.length === 0) return null;
    const priority = shares.length === 1 ? 0 : drawPriority(shares, Math.floor(this.#random() * 100));
    const groups = this.#groups[priority];
    if (groups.length === 0) return null;
    if (groups.length === 1) return groups[0].picker.pick();
    const drawn = this.#random() * groups[groups.length - 1].cumulativeWeight;
    for (let i = 0; i < groups.length; i++) {
      if (drawn < groups[i].cumulativeWeight) return groups[i].picker.pick();
    }
    return groups[groups.length - 1].picker.pick();
  }
}

function health<H>(localities: readonly LocalityHosts<H>[]): { total: number; available: number } {
  let total = 0;
  let available = 0;
  for (const locality of localities) {
    total += locality.all.length;
    available += locality.available.length;
  }
  return { total, available };
}

function groups<H>(
  localities: readonly LocalityHosts<H>[],
  panic: boolean,
  { localityWeighted, overprovisioningFactor }: SelectionOptions,
  newPicker: (hosts: readonly H[]) => Picker<H>,
): Group<H>[] {
  if (localityWeighted && !panic) {
    let sum = 0;
    const weighted: Group<H>[] = [];
    for (const locality of localities) {
      const weight = effectiveLocalityWeight(locality.weight, health([locality]), overprovisioningFactor);
      if (weight > 0) weighted.push({ picker: newPicker(locality.available), cumulativeWeight: sum += weight });
    }
    // Without any weight the localities count as one, as in Envoy.
    if (weighted.length > 0) return weighted;
  }
  const hosts = localities.flatMap(({ all, available }) => panic ? all : available);
  return hosts.length === 0 ? [] : [{ picker: newPicker(hosts), cumulativeWeight: 1 }];
}
