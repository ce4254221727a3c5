/** The form of a case: resources in Envoy's JSON, and requests that both have to answer alike. */
import type { JsonObject } from "@bufbuild/protobuf";
import type { Servers } from "./servers.ts";

type Ports = Servers["ports"];

/** One listener with one filter chain, and what stands in its connection manager. */
export interface Case {
  name: string;
  /** Fields of the connection manager; the router is added to `httpFilters`. */
  manager?: JsonObject;
  /** Of the one virtual host. Default: everything goes to the cluster `a`. */
  routes?: JsonObject[];
  virtualHost?: JsonObject;
  routeConfig?: JsonObject;
  /** Instead of one virtual host for all domains. */
  virtualHosts?: JsonObject[];
  /** Fields of the filter chain, such as `transportSocket`. */
  chain?: JsonObject;
  /** Filters before, or instead of, the connection manager. */
  networkFilters?: JsonObject[];
  /** Beside `a`, `b`, `c` and `nobody`, each of the one server of that name. */
  clusters?(ports: Ports): JsonObject[];
  requests: Request[];
}

export interface Request {
  /** Default `/`. `SIDE` in it becomes a word of five letters, another for each side. */
  path?: string;
  /** Default `GET`. */
  method?: string;
  /** Default `a.test`. */
  host?: string;
  headers?: [string, string][];
  body?: string;
  /** The whole of what is sent, instead of a request that is made of the other fields. */
  raw?: string;
  /** How often, one after the other; default 1. */
  times?: number;
  expect: Expectation;
}

/** So that two wrong answers that agree are found too. */
export interface Expectation {
  /** 0: no answer, the connection is closed. */
  status: number;
  /** Response flags of the access log; default `-`. */
  flags?: string;
  /** Which server answers. */
  server?: string;
  /** What the server says reached it. */
  path?: string;
  /** Values of headers, joined by `, `; `null`: absent. */
  seen?: Record<string, string | null>;
  headers?: Record<string, string | null>;
  body?: string;
  /**
   * What differs from Envoy, and is listed in docs/envoy.md: parts of the {@link Answer} (all that is expected is skiff's),
   * headers by name, `log` for the access log's line.
   */
  differs?: string[];
}

const types = "type.googleapis.com/envoy";
export const type = (name: string) => ({ "@type": `${types}.${name}` });

/** A filter by the name under which routes configure it. */
export const filter = (name: string, message: string, fields: JsonObject = {}): JsonObject => ({
  name: `envoy.filters.http.${name}`,
  typedConfig: { ...type(`extensions.filters.http.${message}`), ...fields },
});

/** A static cluster of endpoints on this machine. */
export const cluster = (name: string, ports: number[], fields: JsonObject = {}): JsonObject => ({
  name,
  connectTimeout: "2s",
  loadAssignment: {
    clusterName: name,
    endpoints: [{
      lbEndpoints: ports.map((portValue) => ({
        endpoint: { address: { socketAddress: { address: "127.0.0.1", portValue } } },
      })),
    }],
  },
  ...fields,
});

export const prefix = (path: string, route: JsonObject = { cluster: "a" }, more: JsonObject = {}): JsonObject => ({
  match: { prefix: path },
  route,
  ...more,
});

/** Adds a header; the actions are `HeaderValueOption`'s. */
export const add = (key: string, value: string, appendAction = "APPEND_IF_EXISTS_OR_ADD") => ({
  header: { key, value },
  appendAction,
});
export const set = (key: string, value: string) => add(key, value, "OVERWRITE_IF_EXISTS_OR_ADD");
