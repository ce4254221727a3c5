/**
 * From the configuration in force to the configuration wanted without a moment in which a request finds half of it.
 *
 * A route waits for the endpoints of the clusters it names, a listener for its routes and for the endpoints of clusters
 * that it names itself, as Envoy warms them; what is to go stays while something in force refers to it. Nothing waits
 * for ever.
 */
import type { ClusterConfig, EndpointsConfig, ListenerConfig, RouteConfig } from "../config/model.ts";
import { clustersOf, routesOf, tcpClustersOf } from "./references.ts";

/** A set of configuration, by name. An entry that has changed is another object. */
export interface ConfigurationSet {
  clusters: Map<string, ClusterConfig>;
  endpoints: Map<string, EndpointsConfig>;
  routes: Map<string, RouteConfig>;
  listeners: Map<string, ListenerConfig>;
}

export interface Change {
  clusters: ClusterConfig[];
  removedClusters: string[];
  endpoints: EndpointsConfig[];
  routes: RouteConfig[];
  removedRoutes: string[];
  listeners: ListenerConfig[];
  removedListeners: string[];
}

/** What the control plane, or DNS, has said so far: the rest is still to come. */
export interface Answered {
  endpoints(cluster: string): boolean;
  route(name: string): boolean;
}

/** How long anything waits for what it refers to, in milliseconds: Envoy's default initial fetch timeout. */
const patience = 15_000;

export function emptySet(): ConfigurationSet {
  return { clusters: new Map(), endpoints: new Map(), routes: new Map(), listeners: new Map() };
}

export function emptyChange(): Change {
  return {
    clusters: [],
    removedClusters: [],
    endpoints: [],
    routes: [],
    removedRoutes: [],
    listeners: [],
    removedListeners: [],
  };
}

export class MakeBeforeBreak {
  readonly inForce: ConfigurationSet = emptySet();
  /** Since when each entry has been held back; keys are `kind name`. */
  readonly #held = new Map<string, number>();

  /** When, at the latest, {@link step} must be called again (in `now`'s milliseconds); `null`: nothing is held back. */
  get deadline(): number | null {
    return this.#held.size === 0 ? null : Math.min(...this.#held.values()) + patience;
  }

  /** Takes into force what can be now, and returns it. */
  step(wanted: ConfigurationSet, answered: Answered, now: number): Change {
    const held = new Set<string>();
    const hold = (key: string): boolean => {
      const since = this.#held.get(key) ?? now;
      if (now - since >= patience) return false;
      this.#held.set(key, since);
      held.add(key);
      return true;
    };
    const clusters = changed(wanted.clusters, this.inForce.clusters, () => false);
    const endpoints = changed(wanted.endpoints, this.inForce.endpoints, () => false);
    const isWarm = (name: string) => {
      const cluster = wanted.clusters.get(name);
      return cluster === undefined || cluster.type === "static" || answered.endpoints(name);
    };
    const routes = changed(
      wanted.routes,
      this.inForce.routes,
      (route) => [...clustersOf(route)].some((name) => !isWarm(name)) && hold(`route ${route.name}`),
    );
    const isServed = (name: string) =>
      this.inForce.routes.has(name) || (answered.route(name) && !wanted.routes.has(name));
    const listeners = changed(
      wanted.listeners,
      this.inForce.listeners,
      (listener) =>
        ([...routesOf(listener)].some((name) => !isServed(name)) ||
          [...tcpClustersOf(listener)].some((name) => !isWarm(name))) &&
        hold(`listener ${listener.name}`),
    );

    const removedListeners = removed(wanted.listeners, this.inForce.listeners, () => false);
    const namedRoutes = union(this.inForce.listeners.values(), routesOf);
    const removedRoutes = removed(
      wanted.routes,
      this.inForce.routes,
      (name) => namedRoutes.has(name) && hold(`end of route ${name}`),
    );
    const namedClusters = union(this.inForce.routes.values(), clustersOf);
    for (const name of union(this.inForce.listeners.values(), tcpClustersOf)) namedClusters.add(name);
    const removedClusters = removed(
      wanted.clusters,
      this.inForce.clusters,
      (name) => namedClusters.has(name) && hold(`end of cluster ${name}`),
    );
    for (const name of removedClusters) this.inForce.endpoints.delete(name);
    for (const key of this.#held.keys()) if (!held.has(key)) this.#held.delete(key);
    return { clusters, removedClusters, endpoints, routes, removedRoutes, listeners, removedListeners };
  }
}

/** Puts into force what is new and not to wait, and returns it. */
function changed<T>(wanted: Map<string, T>, inForce: Map<string, T>, waits: (entry: T) => boolean): T[] {
  const entries: T[] = [];
  for (const [name, entry] of wanted) {
    if (inForce.get(name) === entry || waits(entry)) continue;
    inForce.set(name, entry);
    entries.push(entry);
  }
  return entries;
}

/** Takes out of force what is no longer wanted and not to wait, and returns its names. */
function removed<T>(wanted: Map<string, T>, inForce: Map<string, T>, waits: (name: string) => boolean): string[] {
  const names: string[] = [];
  for (const name of inForce.keys()) {
    if (wanted.has(name) || waits(name)) continue;
    inForce.delete(name);
    names.push(name);
  }
  return names;
}

function union<T>(entries: Iterable<T>, names: (entry: T) => Set<string>): Set<string> {
  const all = new Set<string>();
  for (const entry of entries) for (const name of names(entry)) all.add(name);
  return all;
}

export function isEmpty(change: Change): boolean {
  return Object.values(change).every((part) => part.length === 0);
}
