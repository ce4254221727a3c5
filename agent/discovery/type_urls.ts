/** Type URLs of the resources that an agent asks for. */

export const clusterType = "type.googleapis.com/envoy.config.cluster.v3.Cluster";
export const endpointType = "type.googleapis.com/envoy.config.endpoint.v3.ClusterLoadAssignment";
export const listenerType = "type.googleapis.com/envoy.config.listener.v3.Listener";
export const routeType = "type.googleapis.com/envoy.config.route.v3.RouteConfiguration";

/** In the order in which they are asked for: what others refer to comes first, as in Envoy. */
export const resourceTypes = [clusterType, endpointType, listenerType, routeType] as const;

export type ResourceType = typeof resourceTypes[number];

/** Not a resource: a request of this type tells the workload's health, as Istio's agent does it. */
export const healthType = "type.googleapis.com/istio.v1.HealthInformation";

export function isResourceType(typeUrl: string): typeUrl is ResourceType {
  return (resourceTypes as readonly string[]).includes(typeUrl);
}
