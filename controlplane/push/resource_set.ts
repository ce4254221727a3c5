/**
 * Immutable sets of encoded resources, shared by all streams that are to have the same: what it takes to come from one
 * set to another is found out once, whoever asks, by the identity of the sets.
 */
import { contentHash } from "../../routing/xds/content_hash.ts";
import type { EncodedResource } from "../../routing/xds/resources.ts";
import type { NameSet } from "./name_set.ts";

/** From one set to another. */
export interface SetDifference {
  /** Of the other set: what is new or has another version. */
  changed: readonly EncodedResource[];
  /** Names of what the other set lacks. */
  removed: readonly string[];
}

/** A set narrowed to the names that somebody asks for. */
export interface Restriction {
  set: ResourceSet;
  /** The names that the set does not have. */
  missing: readonly string[];
}

const encoder = new TextEncoder();

export class ResourceSet {
  static readonly empty = new ResourceSet([]);
  readonly #byName: ReadonlyMap<string, EncodedResource>;
  readonly #differences = new WeakMap<ResourceSet, SetDifference>();
  readonly #restrictions = new WeakMap<NameSet, Restriction>();
  #hash: SetHash | null = null;

  constructor(resources: Iterable<EncodedResource>) {
    const byName = new Map<string, EncodedResource>();
    for (const resource of resources) byName.set(resource.name, resource);
    this.#byName = byName;
  }

  get size(): number {
    return this.#byName.size;
  }

  get(name: string): EncodedResource | undefined {
    return this.#byName.get(name);
  }

  names(): Iterable<string> {
    return this.#byName.keys();
  }

  /** Of names and versions, in whatever order. */
  get hash(): SetHash {
    if (this.#hash !== null) return this.#hash;
    const hash = new SetHash();
    for (const { name, version } of this.#byName.values()) hash.add(name, version);
    return this.#hash = hash;
  }

  differenceTo(other: ResourceSet): SetDifference {
    let difference = this.#differences.get(other);
    if (difference === undefined) this.#differences.set(other, difference = this.#compare(other));
    return difference;
  }

  /** What of it has these names. */
  restrictedTo(names: NameSet): Restriction {
    let restriction = this.#restrictions.get(names);
    if (restriction === undefined) this.#restrictions.set(names, restriction = this.#restrict(names));
    return restriction;
  }

  #compare(other: ResourceSet): SetDifference {
    const changed: EncodedResource[] = [];
    for (const resource of other.#byName.values()) {
      const known = this.#byName.get(resource.name);
      if (known !== resource && known?.version !== resource.version) changed.push(resource);
    }
    const removed = [...this.#byName.keys()].filter((name) => !other.#byName.has(name));
    return { changed, removed };
  }

  #restrict(names: NameSet): Restriction {
    const missing: string[] = [];
    const kept: EncodedResource[] = [];
    for (const name of names) {
      const resource = this.#byName.get(name);
      if (resource === undefined) missing.push(name);
      else kept.push(resource);
    }
    if (kept.length === 0) return { set: ResourceSet.empty, missing };
    return { set: kept.length === this.size ? this : new ResourceSet(kept), missing };
  }
}

/** A hash of names with versions to which single ones are added, and from which they are taken. */
export class SetHash {
  #first: number;
  #second: number;

  constructor(like?: SetHash) {
    this.#first = like === undefined ? 0 : like.#first;
    this.#second = like === undefined ? 0 : like.#second;
  }

  add(name: string, version: string): void {
    const [first, second] = wordsOf(name, version);
    this.#first = this.#first + first | 0;
    this.#second = this.#second + second | 0;
  }

  remove(name: string, version: string): void {
    const [first, second] = wordsOf(name, version);
    this.#first = this.#first - first | 0;
    this.#second = this.#second - second | 0;
  }

  toString(): string {
    return [this.#first, this.#second].map((word) => (word >>> 0).toString(16).padStart(8, "0")).join("");
  }
}

function wordsOf(name: string, version: string): [number, number] {
  const hash = contentHash(encoder.encode(`${name} ${version}`));
  return [parseInt(hash.slice(0, 8), 16), parseInt(hash.slice(8), 16)];
}
