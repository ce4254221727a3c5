/**
 * Immutable sets of resource names. Equal ones that are not small are one object: a thousand proxies that ask for the
 * endpoints of the same thousand clusters keep one list of names, and what is found out about it once holds for all.
 */
import { SetHash } from "./resource_set.ts";

/** Below this size sharing costs more than it saves. */
const smallest = 8;

const known = new Map<string, WeakRef<NameSet>>();
const forgotten = new FinalizationRegistry<string>((key) => {
  if (known.get(key)?.deref() === undefined) known.delete(key);
});

export class NameSet implements Iterable<string> {
  static readonly empty: NameSet = new NameSet(new Set(), new SetHash());
  readonly #names: ReadonlySet<string>;
  readonly #hash: SetHash;

  private constructor(names: ReadonlySet<string>, hash: SetHash) {
    this.#names = names;
    this.#hash = hash;
  }

  get size(): number {
    return this.#names.size;
  }

  has(name: string): boolean {
    return this.#names.has(name);
  }

  [Symbol.iterator](): Iterator<string> {
    return this.#names[Symbol.iterator]();
  }

  /** The set with some names more and others fewer. */
  changed(added: Iterable<string>, removed: Iterable<string>): NameSet {
    const names = new Set(this.#names);
    const hash = new SetHash(this.#hash);
    for (const name of added) {
      if (names.has(name)) continue;
      names.add(name);
      hash.add(name, "");
    }
    for (const name of removed) {
      if (names.delete(name)) hash.remove(name, "");
    }
    if (names.size === 0) return NameSet.empty;
    if (names.size < smallest) return new NameSet(names, hash);
    const key = `${names.size} ${hash}`;
    const same = known.get(key)?.deref();
    if (same !== undefined && same.#names.isSubsetOf(names)) return same;
    const made = new NameSet(names, hash);
    // Of two different sets with one hash the later is not shared.
    if (same === undefined) {
      known.set(key, new WeakRef(made));
      forgotten.register(made, key);
    }
    return made;
  }
}
