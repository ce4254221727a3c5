/** The resources in force: what the directory says, kept in the store for what a restart finds unusable. */
import type { Problem } from "../../routing/istio/problem.ts";
import type { Resource } from "../../routing/istio/types.ts";
import type { Store } from "../store/store.ts";
import { watchDirectory } from "./directory.ts";

export interface Configuration {
  problems(): Problem[];
  close(): Promise<void>;
}

/**
 * Follows the directory; without one there are no resources.
 *
 * @param inForce called with all resources, now and after each change
 * @throws {ControlPlaneError} `config_dir`
 */
export async function watchConfiguration(
  directory: string | undefined,
  store: Store,
  inForce: (resources: Resource[]) => void,
): Promise<Configuration> {
  const take = async (resources: Resource[]) => {
    // In force first: a full disk must not keep a change from the mesh.
    inForce(resources);
    await store.replaceResources(resources);
  };
  if (directory === undefined) {
    await take([]);
    return { problems: () => [], close: () => Promise.resolve() };
  }
  const stored = await store.resources();
  const watched = await watchDirectory({
    directory,
    lastGood: stored.map(({ resource }) => resource),
    onChange: ({ resources }) => take(resources),
  });
  await take(watched.content.resources);
  return { problems: () => watched.content.problems, close: () => watched.close() };
}
