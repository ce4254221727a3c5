/** Resources as the REST API shows them: Kubernetes' shape, with the resource version. */
import { kinds } from "../../routing/istio/kinds.ts";
import type { StoredResource } from "../store/store.ts";

/** The kind that a path names, as `VirtualService`, `virtualservice` or `virtualservices`. */
export function kindOf(text: string): string | undefined {
  const wanted = text.toLowerCase();
  return kinds.find(({ name }) => {
    const singular = name.toLowerCase();
    return [singular, `${singular}s`, singular.replace(/y$/, "ies")].includes(wanted);
  })?.name;
}

export function resourceView({ resource, resourceVersion }: StoredResource) {
  const { apiVersion, kind, metadata, spec, origin } = resource;
  return {
    apiVersion,
    kind,
    metadata: { ...metadata, resourceVersion: String(resourceVersion) },
    spec,
    origin,
  };
}

export function listView(kind: string, resources: StoredResource[]) {
  return { kind: `${kind}List`, items: resources.map(resourceView) };
}
