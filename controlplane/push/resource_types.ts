/** The types of resources that are pushed. */
import { TYPE_URL } from "../../routing/xds/resources.ts";

/** In the order of a push: what others refer to goes first (xDS protocol, "Eventual consistency considerations"). */
export const resourceTypes = ["CDS", "EDS", "LDS", "RDS", "SDS"] as const;

export type ResourceType = typeof resourceTypes[number];

export const typeUrls: Readonly<Record<ResourceType, string>> = {
  CDS: TYPE_URL.cluster,
  EDS: TYPE_URL.endpoint,
  LDS: TYPE_URL.listener,
  RDS: TYPE_URL.route,
  SDS: TYPE_URL.secret,
};

/** Types of which a first request that names nothing asks for all (xDS protocol, "How the client specifies what resources to return"). */
export const wildcardTypes: ReadonlySet<ResourceType> = new Set(["CDS", "LDS"]);

/** Not a resource: by a request of this type Istio's agent tells the health of its workload. */
export const healthTypeUrl = "type.googleapis.com/istio.v1.HealthInformation";

export function resourceTypeOf(typeUrl: string): ResourceType | undefined {
  return resourceTypes.find((type) => typeUrls[type] === typeUrl);
}
