/** How a cluster chooses among its hosts, with Envoy's defaults. */
import {
  type Cluster,
  type Cluster_CommonLbConfig,
  Cluster_LbPolicy,
  type Cluster_LeastRequestLbConfig,
  type Cluster_MaglevLbConfig,
  type Cluster_RingHashLbConfig,
  Cluster_RingHashLbConfig_HashFunction as HashFunction,
  type Cluster_SlowStartConfig,
} from "../../../routing/xds/gen/envoy/config/cluster/v3/cluster_pb.ts";
import type { ClusterConfig } from "../model.ts";
import type { Place } from "./unsupported.ts";
import { milliseconds } from "./values.ts";

type LoadBalancing = Pick<
  ClusterConfig,
  "lbPolicy" | "leastRequest" | "slowStart" | "ringHash" | "maglevTableSize" | "hashBalanceFactor"
>;

/** Envoy's limits and defaults. */
const ring = { minimum: 1024, maximum: 8 * 1024 * 1024 };
const maglev = { size: 65537, maximum: 5_000_011 };

/** The settings of the policy that the cluster has; those of others have no effect, as in Envoy. */
export function loadBalancing({ lbPolicy, lbConfig, commonLbConfig }: Cluster, place: Place): LoadBalancing {
  const balanced = balanceFactor(commonLbConfig, place.field("common_lb_config.consistent_hashing_lb_config"));
  switch (lbPolicy) {
    case Cluster_LbPolicy.ROUND_ROBIN:
      return {
        lbPolicy: "ROUND_ROBIN",
        ...(lbConfig.case === "roundRobinLbConfig"
          ? slowStart(lbConfig.value.slowStartConfig, place.field("round_robin_lb_config.slow_start_config"))
          : {}),
      };
    case Cluster_LbPolicy.LEAST_REQUEST:
      if (lbConfig.case !== "leastRequestLbConfig") return { lbPolicy: "LEAST_REQUEST" };
      return { lbPolicy: "LEAST_REQUEST", ...leastRequest(lbConfig.value, place.field("least_request_lb_config")) };
    case Cluster_LbPolicy.RANDOM:
      return { lbPolicy: "RANDOM" };
    case Cluster_LbPolicy.RING_HASH: {
      const config = lbConfig.case === "ringHashLbConfig" ? lbConfig.value : undefined;
      return { lbPolicy: "RING_HASH", ringHash: ringHash(config, place.field("ring_hash_lb_config")), ...balanced };
    }
    case Cluster_LbPolicy.MAGLEV: {
      const config = lbConfig.case === "maglevLbConfig" ? lbConfig.value : undefined;
      return {
        lbPolicy: "MAGLEV",
        maglevTableSize: tableSize(config, place.field("maglev_lb_config.table_size")),
        ...balanced,
      };
    }
    default:
      return place.field("lb_policy").refuse(`${Cluster_LbPolicy[lbPolicy] ?? lbPolicy} is not implemented`);
  }
}

function balanceFactor(
  config: Cluster_CommonLbConfig | undefined,
  place: Place,
): Pick<LoadBalancing, "hashBalanceFactor"> {
  const hashBalanceFactor = config?.consistentHashingLbConfig?.hashBalanceFactor;
  if (hashBalanceFactor === undefined) return {};
  place.field("hash_balance_factor").require(hashBalanceFactor >= 100, "want at least 100");
  return { hashBalanceFactor };
}

function leastRequest(config: Cluster_LeastRequestLbConfig, place: Place): Omit<LoadBalancing, "lbPolicy"> {
  const choiceCount = config.choiceCount ?? 2;
  place.field("choice_count").require(choiceCount >= 2, "want at least 2");
  const activeRequestBias = config.activeRequestBias?.defaultValue ?? 1;
  place.field("active_request_bias").require(activeRequestBias >= 0, "want a number that is not negative");
  return {
    ...(choiceCount === 2 && activeRequestBias === 1 ? {} : { leastRequest: { choiceCount, activeRequestBias } }),
    ...slowStart(config.slowStartConfig, place.field("slow_start_config")),
  };
}

function slowStart(config: Cluster_SlowStartConfig | undefined, place: Place): Pick<LoadBalancing, "slowStart"> {
  const window = milliseconds(config?.slowStartWindow, 0, place.field("slow_start_window"));
  if (window === 0) return {};
  const aggression = config?.aggression?.defaultValue ?? 1;
  place.field("aggression").require(aggression > 0, "want a number above 0");
  const minimumWeightPercent = config?.minWeightPercent?.value ?? 10;
  place.field("min_weight_percent").require(
    minimumWeightPercent >= 0 && minimumWeightPercent <= 100,
    "want a percentage",
  );
  return { slowStart: { window, aggression, minimumWeightPercent } };
}

function ringHash(config: Cluster_RingHashLbConfig | undefined, place: Place): LoadBalancing["ringHash"] {
  const minimumSize = Number(config?.minimumRingSize ?? ring.minimum);
  const maximumSize = Number(config?.maximumRingSize ?? ring.maximum);
  place.field("maximum_ring_size").require(
    maximumSize >= 1 && maximumSize <= ring.maximum,
    `want a size from 1 to ${ring.maximum}`,
  );
  place.field("minimum_ring_size").require(
    minimumSize >= 1 && minimumSize <= maximumSize,
    `want a size from 1 to maximum_ring_size, ${maximumSize}`,
  );
  const hashFunction = config?.hashFunction ?? HashFunction.XX_HASH;
  switch (hashFunction) {
    case HashFunction.XX_HASH:
      return { minimumSize, maximumSize, hashFunction: "XX_HASH" };
    case HashFunction.MURMUR_HASH_2:
      return { minimumSize, maximumSize, hashFunction: "MURMUR_HASH_2" };
    default:
      return place.field("hash_function").refuse(`${hashFunction} is not implemented`);
  }
}

function tableSize(config: Cluster_MaglevLbConfig | undefined, place: Place): number {
  const size = Number(config?.tableSize ?? maglev.size);
  place.require(size <= maglev.maximum && isPrime(size), `want a prime number up to ${maglev.maximum}`);
  return size;
}

function isPrime(number: number): boolean {
  if (number < 2) return false;
  for (let divisor = 2; divisor * divisor <= number; divisor++) {
    if (number % divisor === 0) return false;
  }
  return true;
}
