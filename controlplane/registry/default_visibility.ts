/** Where resources are visible that do not say so: MeshConfig's `default…ExportTo`. */
import type { Resource } from "../../routing/istio/types.ts";
import type { MeshSettings } from "../../routing/mesh.ts";

type Defaults = NonNullable<MeshSettings["defaultExportTo"]>;

const kinds: Readonly<Record<string, keyof Defaults>> = {
  Service: "services",
  ServiceEntry: "services",
  VirtualService: "virtualServices",
  DestinationRule: "destinationRules",
};
const annotation = "networking.istio.io/exportTo";

/** Gives resources the mesh's defaults. For the same resource it always gives the same object. */
export class DefaultVisibility {
  readonly #defaults: Defaults;
  readonly #known = new WeakMap<Resource, Resource>();

  constructor(defaults: Defaults = {}) {
    this.#defaults = defaults;
  }

  /** The resource with the default where it says nothing, else itself. */
  of(resource: Resource): Resource {
    const kind = Object.hasOwn(kinds, resource.kind) ? kinds[resource.kind] : undefined;
    const exportTo = kind === undefined ? undefined : this.#defaults[kind];
    if (exportTo === undefined) return resource;
    let visible = this.#known.get(resource);
    if (visible === undefined) this.#known.set(resource, visible = withDefault(resource, exportTo));
    return visible;
  }
}

function withDefault(resource: Resource, exportTo: string[]): Resource {
  if (resource.kind === "Service") {
    const { metadata } = resource;
    if (metadata.annotations[annotation]) return resource;
    const annotations = { ...metadata.annotations, [annotation]: exportTo.join(",") };
    return { ...resource, metadata: { ...metadata, annotations } };
  }
  const spec = resource.spec as { exportTo?: string[] };
  return spec.exportTo?.length ? resource : { ...resource, spec: { ...spec, exportTo } };
}
