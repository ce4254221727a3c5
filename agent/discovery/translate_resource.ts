/** From a resource's bytes to the data threads' configuration, by the translator of its type. */
import { fromBinary } from "@bufbuild/protobuf";
import { ClusterSchema } from "../../routing/xds/gen/envoy/config/cluster/v3/cluster_pb.ts";
import { ClusterLoadAssignmentSchema } from "../../routing/xds/gen/envoy/config/endpoint/v3/endpoint_pb.ts";
import { ListenerSchema } from "../../routing/xds/gen/envoy/config/listener/v3/listener_pb.ts";
import { RouteConfigurationSchema } from "../../routing/xds/gen/envoy/config/route/v3/route_pb.ts";
import type { EndpointsConfig } from "../config/model.ts";
import { translateCluster } from "../config/translate/cluster.ts";
import { type SlotlessEndpoints, translateEndpoints } from "../config/translate/endpoints.ts";
import { translateListener } from "../config/translate/listener.ts";
import { translateRouteConfiguration } from "../config/translate/route.ts";
import { UnsupportedConfigurationError } from "../config/translate/unsupported.ts";
import type { Translated } from "./translation.ts";
import { clusterType, endpointType, listenerType, type ResourceType, routeType } from "./type_urls.ts";

/** Until the data threads' supervisor gives a place in shared memory. */
const noSlot = 0;

/** See `Translate`. Throws {@link UnsupportedConfigurationError}, and what protobuf says of bytes that are no message. */
export function translateResource(type: ResourceType, _name: string, value: Uint8Array): Translated {
  const translated: Translated = { clusters: [], endpoints: [], routes: [], listeners: [], secrets: [] };
  switch (type) {
    case clusterType: {
      const { cluster, edsName, endpoints, dns, secrets } = translateCluster(fromBinary(ClusterSchema, value));
      const place = `cluster ${cluster.name}`;
      if (edsName !== null && edsName !== cluster.name) {
        throw new UnsupportedConfigurationError(
          `${place}: eds_cluster_config.service_name`,
          `want the cluster's name, found ${JSON.stringify(edsName)}`,
        );
      }
      translated.clusters.push({ ...cluster, slot: noSlot });
      translated.secrets.push(...secrets);
      if (cluster.dynamic !== undefined) {
        translated.dynamic = [{ cluster: cluster.name, config: cluster.dynamic }];
      } else if (endpoints !== null && dns !== null) translated.dns = [{ endpoints: withSlots(endpoints), dns }];
      else if (endpoints !== null) translated.endpoints.push(withSlots(endpoints));
      return translated;
    }
    case endpointType: {
      const assignment = fromBinary(ClusterLoadAssignmentSchema, value);
      translated.endpoints.push(withSlots(translateEndpoints(assignment, assignment.clusterName)));
      return translated;
    }
    case listenerType: {
      const { listener, inlineRoutes, secrets } = translateListener(fromBinary(ListenerSchema, value));
      translated.listeners.push(listener);
      translated.secrets.push(...secrets);
      translated.routes.push(...inlineRoutes);
      return translated;
    }
    case routeType:
      translated.routes.push(translateRouteConfiguration(fromBinary(RouteConfigurationSchema, value)));
      return translated;
  }
}

function withSlots(endpoints: SlotlessEndpoints): EndpointsConfig {
  const localities = endpoints.localities.map((locality) => ({
    ...locality,
    endpoints: locality.endpoints.map((endpoint) => ({ ...endpoint, slot: noSlot })),
  }));
  return { ...endpoints, localities };
}
