/** `LoadBalancerSettings` of a traffic policy. */
import { atMostOne, list, map, message, required } from "../../yaml/collections.ts";
import { boolean, enumeration, integer, nonEmpty, number, type Schema, string } from "../../yaml/schema.ts";
import { duration } from "../duration.ts";
import type { ConsistentHash, LoadBalancerSettings, LocalityLbSetting } from "../types.ts";
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
  }),
  useSourceIp: boolean,
  httpQueryParameterName: string(nonEmpty),
  ringHash: message<{ minimumRingSize?: number }>({ minimumRingSize: ringSize }),
  maglev: message<{ tableSize?: number }>({ tableSize: integer(2, 5_000_011) }, ({ tableSize }, cursor) => {
    if (tableSize !== undefined && !isPrime(tableSize)) {
      cursor.at("tableSize").error(`must be a prime number, such as 65537; found ${tableSize}`);
    }
  }),
  minimumRingSize: ringSize,
}, (_, cursor) => {
  const keys = ["httpHeaderName", "httpCookie", "useSourceIp", "httpQueryParameterName"];
  atMostOne(cursor, ...keys);
  if (!keys.some((name) => cursor.has(name))) cursor.error(`one of ${keys.join(", ")} is required`);
  atMostOne(cursor, "ringHash", "maglev");
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

const failover = list(message<Failover>({ from: string(nonEmpty), to: string(nonEmpty) }, ({ from, to }, cursor) => {
  if (from !== undefined && from === to) cursor.error("must go to another region than it comes from");
}));

interface Distribute {
  from?: string;
  to?: Record<string, number>;
}

const distribute = message<Distribute>({ from: string(nonEmpty), to: map(integer(1, 100)) }, ({ to }, cursor) => {
  const sum = Object.values(to ?? { all: 100 }).reduce((total, weight) => total + weight, 0);
  if (sum !== 100) cursor.at("to").error(`the weights must sum up to 100, found ${sum}`);
});

/** Also of MeshConfig. */
export const localityLbSetting = message<LocalityLbSetting>({
  distribute: list(distribute),
  failover,
  failoverPriority: list(string(nonEmpty)),
  enabled: boolean,
}, (_, cursor) => {
  atMostOne(cursor, "distribute", "failover");
  atMostOne(cursor, "distribute", "failoverPriority");
});

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
  minClusterSize: integer(1, Number.MAX_SAFE_INTEGER),
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
}, ({ simple }, cursor) => {
  atMostOne(cursor, "simple", "consistentHash");
  atMostOne(cursor, "localityLbSetting", "zoneAwareLbSetting");
  atMostOne(cursor, "warmupDurationSecs", "warmup");
  if (simple === "LEAST_CONN") cursor.at("simple").warning("LEAST_CONN is deprecated: it means LEAST_REQUEST");
  const warms = cursor.has("warmup") || cursor.has("warmupDurationSecs");
  if (warms && (simple === "RANDOM" || simple === "PASSTHROUGH" || cursor.has("consistentHash"))) {
    cursor.error("warmup works with ROUND_ROBIN and LEAST_REQUEST only");
  }
});
