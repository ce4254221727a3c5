/** Outlier detection as istiod writes it: only what was set, success-rate ejection always off. */
import type { MessageInitShape } from "@bufbuild/protobuf";
import { durationFromMs } from "@bufbuild/protobuf/wkt";
import type { OutlierDetection } from "../istio/types.ts";
import { parseDuration } from "../istio/duration.ts";
import type { OutlierDetectionSchema } from "../xds/gen/envoy/config/cluster/v3/outlier_detection_pb.ts";

/**
 * Envoy's form of the settings; what is absent keeps Envoy's default (5 errors in a row, interval 10 s, ejection 30 s,
 * at most 10 % ejected), which are Istio's defaults too.
 */
export function outlierDetection(settings: OutlierDetection): MessageInitShape<typeof OutlierDetectionSchema> {
  const { consecutive5xxErrors, consecutiveGatewayErrors, consecutiveLocalOriginFailures } = settings;
  const split = settings.splitExternalLocalOriginErrors === true;
  const localOrigin = split && (consecutiveLocalOriginFailures ?? 0) > 0;
  return {
    enforcingSuccessRate: 0,
    consecutive5xx: consecutive5xxErrors,
    enforcingConsecutive5xx: enforcing(consecutive5xxErrors),
    consecutiveGatewayFailure: consecutiveGatewayErrors,
    enforcingConsecutiveGatewayFailure: enforcing(consecutiveGatewayErrors),
    interval: duration(settings.interval),
    baseEjectionTime: duration(settings.baseEjectionTime),
    maxEjectionPercent: settings.maxEjectionPercent || undefined,
    splitExternalLocalOriginErrors: split,
    consecutiveLocalOriginFailure: localOrigin ? consecutiveLocalOriginFailures : undefined,
    enforcingConsecutiveLocalOriginFailure: localOrigin ? 100 : undefined,
    enforcingLocalOriginSuccessRate: split ? 0 : undefined,
  };
}

/** A threshold of 0 switches its detector off; Envoy wants that said as "enforced in 0 % of cases". */
function enforcing(threshold: number | undefined): number | undefined {
  return threshold === undefined ? undefined : threshold > 0 ? 100 : 0;
}

function duration(text: string | undefined) {
  return text === undefined ? undefined : durationFromMs(parseDuration(text));
}
