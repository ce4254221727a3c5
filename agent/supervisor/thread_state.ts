/** All that the data threads have been told, so that a new one can be told the same. */
import type {
  ClusterConfig,
  ControlMessage,
  EndpointsConfig,
  ListenerConfig,
  ProxyDescription,
  RouteConfig,
  SecretConfig,
} from "../config/model.ts";

/** A control message before the threads' supervisor numbers it. */
export type ControlChange = ControlMessage extends infer Message ? Message extends ControlMessage ? Omit<Message, "id">
  : never
  : never;

/** One proxy's share of the state. */
export interface ProxyState {
  description: ProxyDescription | null;
  secrets: Map<string, SecretConfig>;
  clusters: Map<string, ClusterConfig>;
  endpoints: Map<string, EndpointsConfig>;
  routes: Map<string, RouteConfig>;
  listeners: Map<string, ListenerConfig>;
}

export class ThreadState {
  readonly proxies = new Map<string, ProxyState>();

  /** Takes over a change; of a drain nothing is kept. */
  apply(change: ControlChange): void {
    switch (change.kind) {
      case "proxy":
        this.#of(change.description.proxy).description = change.description;
        return;
      case "removeProxy":
        this.proxies.delete(change.proxy);
        return;
      case "secret":
        this.#of(change.proxy).secrets.set(change.secret.name, change.secret);
        return;
      case "removeSecrets":
        for (const name of change.names) this.#of(change.proxy).secrets.delete(name);
        return;
      case "resources": {
        const state = this.#of(change.proxy);
        for (const name of change.removedClusters) {
          state.clusters.delete(name);
          state.endpoints.delete(name);
        }
        for (const name of change.removedRoutes) state.routes.delete(name);
        for (const name of change.removedListeners) state.listeners.delete(name);
        for (const cluster of change.clusters) state.clusters.set(cluster.name, cluster);
        for (const endpoints of change.endpoints) state.endpoints.set(endpoints.cluster, endpoints);
        for (const route of change.routes) state.routes.set(route.name, route);
        for (const listener of change.listeners) state.listeners.set(listener.name, listener);
        return;
      }
      case "drain":
        return;
    }
  }

  /** The changes that bring an empty thread here: of each proxy its description, secrets, then everything else. */
  replay(): ControlChange[] {
    const changes: ControlChange[] = [];
    for (const [proxy, state] of this.proxies) {
      if (state.description !== null) changes.push({ kind: "proxy", description: state.description });
      for (const secret of state.secrets.values()) changes.push({ kind: "secret", proxy, secret });
      changes.push({
        kind: "resources",
        proxy,
        clusters: [...state.clusters.values()],
        removedClusters: [],
        endpoints: [...state.endpoints.values()],
        routes: [...state.routes.values()],
        removedRoutes: [],
        listeners: [...state.listeners.values()],
        removedListeners: [],
      });
    }
    return changes;
  }

  #of(proxy: string): ProxyState {
    let state = this.proxies.get(proxy);
    if (state === undefined) {
      state = {
        description: null,
        secrets: new Map(),
        clusters: new Map(),
        endpoints: new Map(),
        routes: new Map(),
        listeners: new Map(),
      };
      this.proxies.set(proxy, state);
    }
    return state;
  }
}
