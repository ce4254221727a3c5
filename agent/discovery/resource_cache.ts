/** The last good resources of one workload as they came over the wire, and their form on disk. */
import { type ResourceType, resourceTypes } from "./type_urls.ts";

export interface CachedResource {
  version: string;
  value: Uint8Array;
}

const format = 1;

/** The file is not a cache, or not this workload's. */
export class ResourceCacheError extends Error {
  override readonly name = "ResourceCacheError";
}

export class ResourceCache {
  readonly #resources = new Map<ResourceType, Map<string, CachedResource>>();
  /** Names that the control plane said do not exist. */
  readonly #absent = new Map<ResourceType, Set<string>>();
  readonly #heard = new Set<ResourceType>();

  of(type: ResourceType): ReadonlyMap<string, CachedResource> {
    return this.#resources.get(type) ?? new Map();
  }

  set(type: ResourceType, name: string, resource: CachedResource): void {
    const resources = this.#resources.get(type) ?? new Map<string, CachedResource>();
    this.#resources.set(type, resources);
    resources.set(name, resource);
    this.#absent.get(type)?.delete(name);
  }

  /** Notes that there is no such resource. */
  setAbsent(type: ResourceType, name: string): void {
    this.#resources.get(type)?.delete(name);
    const absent = this.#absent.get(type) ?? new Set<string>();
    this.#absent.set(type, absent);
    absent.add(name);
  }

  /** Forgets a name that nobody asks for any more. */
  forget(type: ResourceType, name: string): void {
    this.#resources.get(type)?.delete(name);
    this.#absent.get(type)?.delete(name);
  }

  /** Every name that is known to be there or not to be there. */
  *names(type: ResourceType): Generator<string> {
    yield* this.of(type).keys();
    yield* this.#absent.get(type) ?? [];
  }

  /** True when the control plane has said whether there is such a resource. */
  answered(type: ResourceType, name: string): boolean {
    return this.of(type).has(name) || this.#absent.get(type)?.has(name) === true;
  }

  /** Notes a response of this type, which may have been empty. */
  setHeard(type: ResourceType): void {
    this.#heard.add(type);
  }

  /** True after the first response of this type. */
  heard(type: ResourceType): boolean {
    return this.#heard.has(type);
  }

  versions(type: ResourceType): Record<string, string> {
    return Object.fromEntries([...this.of(type)].map(([name, { version }]) => [name, version]));
  }

  /** As text for a file; `owner` says whose resources these are. */
  serialize(owner: string): string {
    const types = resourceTypes.filter((type) => this.#heard.has(type)).map((type) => ({
      type,
      absent: [...this.#absent.get(type) ?? []],
      resources: [...this.of(type)].map(([name, { version, value }]) => [name, version, value.toBase64()]),
    }));
    return JSON.stringify({ format, owner, types });
  }

  /** Reads {@link serialize}'s text. Throws {@link ResourceCacheError}. */
  static parse(text: string, owner: string): ResourceCache {
    const cache = new ResourceCache();
    try {
      const file = JSON.parse(text);
      if (file.format !== format) throw new ResourceCacheError(`its format is ${file.format}, not ${format}`);
      if (file.owner !== owner) throw new ResourceCacheError(`it belongs to ${file.owner}, not ${owner}`);
      for (const { type, absent, resources } of file.types) {
        if (!resourceTypes.includes(type)) throw new ResourceCacheError(`unknown type ${type}`);
        cache.setHeard(type);
        for (const name of absent) cache.setAbsent(type, String(name));
        for (const [name, version, value] of resources) {
          cache.set(type, String(name), { version: String(version), value: Uint8Array.fromBase64(value) });
        }
      }
    } catch (error) {
      if (error instanceof ResourceCacheError) throw error;
      throw new ResourceCacheError("it is damaged", { cause: error });
    }
    return cache;
  }
}
