/** `LoadBalancerSettings` of a traffic policy. */
import { atMostOne, list, map, message, required } from "../../yaml/collections.ts";
import { boolean, enumeration, integer, nonEmpty, number, type Schema, string } from "../../yaml/schema.ts";
import { duration } from "../duration.ts";
import type { ConsistentHash, LoadBalancerSettings, LocalityLbSetting } from "../types.ts";
import { quote } from "../../yaml/node.ts";
import { headerName } from "./names.ts";

type Cookie = NonNullable<ConsistentHash["httpCookie"]>;

/** Envoy's ring ends at 8 Mi entries. */
const ringSize = integer(0, 8 * 1024 * 1024);

const consistentHash = message<ConsistentHash>({
  httpHeaderName: string(headerName),
  httpCookie: message<Cookie>({
    name: required(string(nonEmpty)),
    path: string(),
    ttl: duration({ zero: true }),
    attributes: list(message<{ name: string; value?: string }>({ name: required(string(nonEmpty)), value: string() })),
  }, ({ attributes = [] }, cursor) => {
    const names = attributes.map(({ name }) => name);
    names.forEach((name, index) => {
      if (names.indexOf(name) < index) cursor.at("attributes", index, "name").error(`${quote(name)} is there already`);
    });
  }),
  useSourceIp: boolean,
  httpQueryParameterName: string(nonEmpty),
  ringHash: message<{ minimumRingSize?: number }>({ minimumRingSize: ringSize }),
  maglev: message<{ tableSize?: number }>({ tableSize: integer(1, 5_000_010) }, ({ tableSize }, cursor) => {
    if (!cursor.has("tableSize")) cursor.at("tableSize").error("is required, such as 65537");
    if (tableSize !== undefined && !isPrime(tableSize)) {
      cursor.at("tableSize").error(`must be a prime number, such as 65537; found ${tableSize}`);
    }
  }),
  minimumRingSize: ringSize,
}, (_, cursor) => {
  const keys = ["httpHeaderName", "httpCookie", "useSourceIp", "httpQueryParameterName"];
  atMostOne(cursor, ...keys);
  if (!keys.some((name) => cursor.has(name))) cursor.error(`one of ${keys.join(", ")} is required`);
  atMostOne(cursor, "ringHash", "maglev", "minimumRingSize");
  if (cursor.has("minimumRingSize")) {
    cursor.atKey("minimumRingSize").warning("is deprecated: use ringHash.minimumRingSize");
  }
});

function isPrime(number: number): boolean {
  for (let divisor = 2; divisor * divisor <= number; divisor++) {
    if (number % divisor === 0) return false;
  }
  return true;
}

interface Failover {
  from?: string;
  to?: string;
}

/** A text rule: region, which has neither zones nor wildcards. */
function region(value: string): string | undefined {
  return /[/*]/.test(value) ? "be a region, without / and *" : undefined;
}

const failover = list(message<Failover>({ from: string(region), to: string(region) }, ({ from, to }, cursor) => {
  const known = [from, to].every((name, index) => name !== undefined || !cursor.has(["from", "to"][index]));
  if (known && from === to) cursor.error("must go to another region than it comes from");
}));

interface Distribute {
  from?: string;
  to?: Record<string, number>;
}

/** A text rule: `region/zone/subzone`, the last two optional, with `*` at the end alone. */
function localityPattern(value: string): string | undefined {
  const parts = value.split("/");
  const good = parts.slice(0, 2).every((part) => part !== "") && parts[2] !== "" && /^[^*]*\*?$/.test(value);
  return good ? undefined : "be region/zone/subzone, without empty parts, and with * at the end alone";
}

/** Refuses localities of which one lies in another: they come in the order in which they are written. */
function refuseOverlap(localities: readonly string[], report: (index: number, message: string) => void): void {
  const scopes = localities.map((text) => text.replace(/\/?\*$/, "").split("/"));
  scopes.forEach((scope, index) => {
    const earlier = scopes.slice(0, index).findIndex((other) => {
      const shared = Math.min(scope.length, other.length);
      return scope.slice(0, shared).join("/") === other.slice(0, shared).join("/");
    });
    if (earlier >= 0) report(index, `${quote(localities[index])} overlaps with ${quote(localities[earlier])}`);
  });
}

const distribute = message<Distribute>({
  from: string(localityPattern),
  to: map(integer(1, 100), localityPattern),
}, ({ to }, cursor) => {
  const places = Object.keys(to ?? {});
  refuseOverlap(places, (index, message) => cursor.at("to").atKey(places[index]).error(message));
  const sum = Object.values(to ?? { all: 100 }).reduce((total, weight) => total + weight, 0);
  if (sum !== 100) cursor.at("to").error(`the weights must sum up to 100, found ${sum}`);
});

/** Also of MeshConfig. */
export const localityLbSetting = message<LocalityLbSetting>({
  distribute: list(distribute),
  failover,
  failoverPriority: list(string(nonEmpty)),
  enabled: boolean,
}, ({ failoverPriority = [], distribute = [] }, cursor) => {
  atMostOne(cursor, "distribute", "failover");
  const priorities = cursor.has("failover") ? failoverPriority : [];
  const topological = priorities.findIndex((label) => topologyLabels.includes(label));
  if (topological >= 0) {
    cursor.at("failoverPriority", topological).error("cannot stand beside failover, which says the regions already");
  }
  refuseOverlap(distribute.map(({ from = "" }) => from), (index, message) => {
    cursor.at("distribute", index, "from").error(message);
  });
});

const topologyLabels = ["topology.kubernetes.io/region", "topology.kubernetes.io/zone", "topology.istio.io/subzone"];

interface ZoneAwareSetting {
  enabled?: boolean;
  failover?: Failover[];
  failoverPriority?: string[];
  minClusterSize?: number;
}

const zoneAwareLbSetting = message<ZoneAwareSetting>({
  enabled: boolean,
  failover,
  failoverPriority: list(string(nonEmpty)),
  minClusterSize: integer(1, 2 ** 32 - 1),
}, ({ failoverPriority = [] }, cursor) => {
  const topological = failoverPriority.findIndex((label) => topologyLabels.includes(label));
  if (topological >= 0) {
    cursor.at("failoverPriority", topological).error("is said by zoneAwareLbSetting itself: name other labels");
  }
});

export const loadBalancer: Schema<LoadBalancerSettings> = message<LoadBalancerSettings>({
  simple: enumeration("UNSPECIFIED", "LEAST_CONN", "RANDOM", "PASSTHROUGH", "ROUND_ROBIN", "LEAST_REQUEST"),
  consistentHash,
  localityLbSetting,
  zoneAwareLbSetting: zoneAwareLbSetting as Schema<Record<string, unknown>>,
  warmupDurationSecs: duration(),
  warmup: message<NonNullable<LoadBalancerSettings["warmup"]>>({
    duration: required(duration()),
    minimumPercent: number(0, 100),
    aggression: number(0, Number.MAX_VALUE),
  }),
}, ({ simple, warmup }, cursor) => {
  if (warmup?.aggression === 0) cursor.at("warmup", "aggression").error("must be greater than 0");
  atMostOne(cursor, "simple", "consistentHash");
  atMostOne(cursor, "localityLbSetting", "zoneAwareLbSetting");
  atMostOne(cursor, "warmupDurationSecs", "warmup");
  if (simple === "LEAST_CONN") cursor.at("simple").warning("LEAST_CONN is deprecated: it means LEAST_REQUEST");
  const warms = cursor.has("warmup") || cursor.has("warmupDurationSecs");
  if (warms && (simple === "RANDOM" || simple === "PASSTHROUGH" || cursor.has("consistentHash"))) {
    cursor.error("warmup works with ROUND_ROBIN and LEAST_REQUEST only");
  }
});
