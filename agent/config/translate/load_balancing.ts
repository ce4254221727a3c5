/** How a cluster chooses among its hosts, with Envoy's defaults. */
import {
  type Cluster,
  Cluster_LbPolicy,
  type Cluster_MaglevLbConfig,
  type Cluster_RingHashLbConfig,
  Cluster_RingHashLbConfig_HashFunction as HashFunction,
} from "../../../routing/xds/gen/envoy/config/cluster/v3/cluster_pb.ts";
import type { ClusterConfig } from "../model.ts";
import type { Place } from "./unsupported.ts";

type LoadBalancing = Pick<ClusterConfig, "lbPolicy" | "ringHash" | "maglevTableSize">;

/** Envoy's limits and defaults. */
const ring = { minimum: 1024, maximum: 8 * 1024 * 1024 };
const maglev = { size: 65537, maximum: 5_000_011 };

/** The settings of the policy that the cluster has; those of others have no effect, as in Envoy. */
export function loadBalancing({ lbPolicy, lbConfig }: Cluster, place: Place): LoadBalancing {
  switch (lbPolicy) {
    case Cluster_LbPolicy.ROUND_ROBIN:
      return { lbPolicy: "ROUND_ROBIN" };
    case Cluster_LbPolicy.LEAST_REQUEST: {
      if (lbConfig.case === "leastRequestLbConfig") {
        const choices = lbConfig.value.choiceCount ?? 2;
        place.field("least_request_lb_config.choice_count").require(choices === 2, "want 2, the default");
      }
      return { lbPolicy: "LEAST_REQUEST" };
    }
    case Cluster_LbPolicy.RANDOM:
      return { lbPolicy: "RANDOM" };
    case Cluster_LbPolicy.RING_HASH: {
      const config = lbConfig.case === "ringHashLbConfig" ? lbConfig.value : undefined;
      return { lbPolicy: "RING_HASH", ringHash: ringHash(config, place.field("ring_hash_lb_config")) };
    }
    case Cluster_LbPolicy.MAGLEV: {
      const config = lbConfig.case === "maglevLbConfig" ? lbConfig.value : undefined;
      return { lbPolicy: "MAGLEV", maglevTableSize: tableSize(config, place.field("maglev_lb_config.table_size")) };
    }
    default:
      return place.field("lb_policy").refuse(`${Cluster_LbPolicy[lbPolicy] ?? lbPolicy} is not implemented`);
  }
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
