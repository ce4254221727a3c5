/** From the priorities and localities of a cluster to one host: which hosts may be chosen now, and with what share. */
import type { Hash64 } from "./xx_hash.ts";
import {
  drawPriority,
  effectiveLocalityWeight,
  type PriorityHealth,
  type PriorityShare,
  priorityShares,
  sharesOfOthers,
} from "./priority_load.ts";

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
  /** Whether hosts are chosen by key: then a key decides the priority too, and localities only change weights. */
  keyed: boolean;
}

/** A choice among fixed hosts, of which there is at least one. */
export interface Picker<H> {
  /**
   * @param key what requests that shall go to the same host have in common, `null`: nothing
   * @param attempt 0, or how many hosts have been chosen for the same request before
   */
  pick(key: Hash64 | null, attempt: number): H;
}

/** Makes the picker of a group of hosts; `weights`, where given, go before the hosts' own. */
export type NewPicker<H> = (hosts: readonly H[], weights: readonly number[] | null) => Picker<H>;

/** One group of hosts within a priority, and where its share of the priority ends. */
interface Group<H> {
  picker: Picker<H>;
  cumulativeWeight: number;
}

/** Valid while no host changes its health: then make a new one. */
export class HostSelection<H extends { weight: number }> {
  readonly shares: readonly PriorityShare[];
  readonly #levels: readonly PriorityHealth[];
  readonly #options: SelectionOptions;
  readonly #groups: Group<H>[][];
  readonly #random: () => number;
  readonly #keyed: boolean;

  /**
   * @param levels localities by priority, the most preferred first
   * @param random from 0 up to 1
   */
  constructor(
    levels: readonly (readonly LocalityHosts<H>[])[],
    options: SelectionOptions,
    newPicker: NewPicker<H>,
    random: () => number,
  ) {
    this.#random = random;
    this.#keyed = options.keyed;
    this.#options = options;
    this.#levels = levels.map(health);
    this.shares = levels.length === 0 ? [] : priorityShares(this.#levels, options);
    this.#groups = levels.map((localities, i) => groups(localities, this.shares[i].panic, options, newPicker));
  }

  /**
   * `null` where no host may be chosen. See {@link Picker.pick}.
   *
   * @param left priorities that get nothing while another has hosts that may be chosen; `null`: none
   */
  choose(key: Hash64 | null, attempt: number, left: ReadonlySet<number> | null = null): H | null {
    const shares = left === null ? this.shares : sharesOfOthers(this.#levels, this.#options, left) ?? this.shares;
    if (shares.length === 0) return null;
    const priority = shares.length === 1 ? 0 : drawPriority(shares, this.#hundredth(key));
    const groups = this.#groups[priority];
    if (groups.length === 0) return null;
    if (groups.length === 1) return groups[0].picker.pick(key, attempt);
    const drawn = this.#random() * groups[groups.length - 1].cumulativeWeight;
    for (let i = 0; i < groups.length; i++) {
      if (drawn < groups[i].cumulativeWeight) return groups[i].picker.pick(key, attempt);
    }
    return groups[groups.length - 1].picker.pick(key, attempt);
  }

  #hundredth(key: Hash64 | null): number {
    return this.#keyed && key !== null ? key.modulo(100) : Math.floor(this.#random() * 100);
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

function groups<H extends { weight: number }>(
  localities: readonly LocalityHosts<H>[],
  panic: boolean,
  options: SelectionOptions,
  newPicker: NewPicker<H>,
): Group<H>[] {
  if (options.localityWeighted && !panic) {
    const weighted = options.keyed
      ? asOneGroup(localities, newPicker)
      : weightedGroups(localities, options.overprovisioningFactor, newPicker);
    // Without any weight the localities count as one, as in Envoy.
    if (weighted.length > 0) return weighted;
  }
  const hosts = localities.flatMap(({ all, available }) => panic ? all : available);
  return hosts.length === 0 ? [] : [{ picker: newPicker(hosts, null), cumulativeWeight: 1 }];
}

function weightedGroups<H>(
  localities: readonly LocalityHosts<H>[],
  overprovisioningFactor: number,
  newPicker: NewPicker<H>,
): Group<H>[] {
  let sum = 0;
  const weighted: Group<H>[] = [];
  for (const locality of localities) {
    const weight = effectiveLocalityWeight(locality.weight, health([locality]), overprovisioningFactor);
    if (weight > 0) weighted.push({ picker: newPicker(locality.available, null), cumulativeWeight: sum += weight });
  }
  return weighted;
}

/** One table for all localities, in which each host has its part of its locality's weight. */
function asOneGroup<H extends { weight: number }>(
  localities: readonly LocalityHosts<H>[],
  newPicker: NewPicker<H>,
): Group<H>[] {
  const hosts: H[] = [];
  const weights: number[] = [];
  for (const { weight, available } of localities) {
    if (weight === 0) continue;
    const sum = available.reduce((total, host) => total + host.weight, 0);
    for (const host of available) {
      hosts.push(host);
      weights.push(weight * host.weight / sum);
    }
  }
  return hosts.length === 0 ? [] : [{ picker: newPicker(hosts, weights), cumulativeWeight: 1 }];
}
