/** Clusters that get copies of a route's requests. */
import type { RouteAction_RequestMirrorPolicy } from "../../../routing/xds/gen/envoy/config/route/v3/route_components_pb.ts";
import type { MirrorConfig } from "../model.ts";
import type { Place } from "./unsupported.ts";
import { fraction } from "./values.ts";

export function mirrors(policies: RouteAction_RequestMirrorPolicy[], place: Place): MirrorConfig[] {
  return policies.map(({ cluster, runtimeFraction, disableShadowHostSuffixAppend }, index) => {
    const at = place.item(index);
    at.field("cluster").require(cluster !== "", "want the name of a cluster");
    return {
      cluster,
      fraction: runtimeFraction === undefined
        ? null
        : fraction(runtimeFraction.defaultValue, at.field("runtime_fraction.default_value")),
      keepHost: disableShadowHostSuffixAppend,
    };
  });
}
