/** Resources for tests of subscriptions: names and versions without content. */
import type { EncodedResource } from "../../routing/xds/resources.ts";
import type { AvailableResources } from "../push/proxy_resources.ts";
import { ResourceSet } from "../push/resource_set.ts";
import type { ResourceType } from "../push/resource_types.ts";

/** How a proxy has its resources: with all others that see the mesh alike, for itself, or some so and some so. */
export const arrangements = ["shared", "own", "mixed"] as const;
export type Arrangement = typeof arrangements[number];

/** @param versionsOf versions by name of the resources of a type */
export function availableResources(
  versionsOf: (type: ResourceType) => Record<string, string>,
  arrangement: Arrangement = "own",
): AvailableResources {
  const resourcesOf = (type: ResourceType) =>
    Object.entries(versionsOf(type)).map(([name, version]): EncodedResource => (
      { name, version, typeUrl: "", bytes: new Uint8Array() }
    ));
  // Of two neighbours in the alphabet one is the proxy's own.
  const isOwn = ({ name }: EncodedResource) =>
    arrangement === "own" || (arrangement === "mixed" && name.charCodeAt(0) % 2 === 0);
  return {
    shared: (type) => new ResourceSet(resourcesOf(type).filter((resource) => !isOwn(resource))),
    own: (type) => new Map(resourcesOf(type).filter(isOwn).map((resource) => [resource.name, resource])),
    resource: (type, name) => resourcesOf(type).find((resource) => resource.name === name),
  };
}
