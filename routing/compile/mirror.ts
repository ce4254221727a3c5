/** Mirrors of a rule's route, as istiod compiles them. */
import type { HTTPRoute, Percent } from "../istio/types.ts";
import { FractionalPercent_DenominatorType as Denominator } from "../xds/gen/envoy/type/v3/percent_pb.ts";
import type { ResolveCluster } from "./route_action.ts";

/** A mirror of 0 percent is none; one without a percentage gets every request. */
export function mirrorPolicies(route: HTTPRoute, resolve: ResolveCluster) {
  const one = route.mirror === undefined ? [] : [{
    destination: route.mirror,
    share: route.mirrorPercentage === undefined
      ? hundredths(route.mirrorPercent ?? 100)
      : millionths(route.mirrorPercentage),
    field: "mirror",
  }];
  const several = (route.mirrors ?? []).map(({ destination, percentage }, index) => ({
    destination,
    share: percentage === undefined ? hundredths(100) : millionths(percentage),
    field: `mirrors[${index}]`,
  }));
  return [...one, ...several].filter(({ share }) => share.numerator > 0).map(({ destination, share, field }) => ({
    cluster: resolve(destination, field).name,
    runtimeFraction: { defaultValue: share },
    traceSampled: false,
  }));
}

function hundredths(numerator: number) {
  return { numerator, denominator: Denominator.HUNDRED };
}

function millionths({ value }: Percent) {
  return { numerator: Math.round((value ?? 0) * 10_000), denominator: Denominator.MILLION };
}
