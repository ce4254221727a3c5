/** Outlier detection with Envoy's defaults. */
import type { OutlierDetection } from "../../../routing/xds/gen/envoy/config/cluster/v3/outlier_detection_pb.ts";
import type { OutlierDetectionConfig } from "../model.ts";
import type { Place } from "./unsupported.ts";
import { positiveMilliseconds } from "./values.ts";

const defaultMaxEjectionTime = 300_000;

/** Detectors by consecutive failures; the statistical ones must be off. */
export function outlierDetection(
  detection: OutlierDetection | undefined,
  place: Place,
): OutlierDetectionConfig | null {
  if (detection === undefined) return null;
  const split = detection.splitExternalLocalOriginErrors;
  // On by default in Envoy, so to leave them out is not to switch them off.
  requireOff(detection.enforcingSuccessRate ?? 100, place.field("enforcing_success_rate"));
  if (split) {
    requireOff(detection.enforcingLocalOriginSuccessRate ?? 100, place.field("enforcing_local_origin_success_rate"));
  }
  requireOff(detection.enforcingFailurePercentage ?? 0, place.field("enforcing_failure_percentage"));
  requireOff(
    detection.enforcingFailurePercentageLocalOrigin ?? 0,
    place.field("enforcing_failure_percentage_local_origin"),
  );
  const baseEjectionTime = positiveMilliseconds(detection.baseEjectionTime, 30_000, place.field("base_ejection_time"));
  const maxEjectionTime = positiveMilliseconds(
    detection.maxEjectionTime,
    Math.max(defaultMaxEjectionTime, baseEjectionTime),
    place.field("max_ejection_time"),
  );
  place.field("max_ejection_time").require(maxEjectionTime >= baseEjectionTime, "want at least base_ejection_time");
  const maxEjectionPercent = detection.maxEjectionPercent ?? 10;
  place.field("max_ejection_percent").require(maxEjectionPercent <= 100, "want at most 100");
  return {
    consecutive5xx: threshold(
      detection.consecutive5xx,
      detection.enforcingConsecutive5xx ?? 100,
      place.field("enforcing_consecutive_5xx"),
    ),
    consecutiveGatewayFailure: threshold(
      detection.consecutiveGatewayFailure,
      detection.enforcingConsecutiveGatewayFailure ?? 0,
      place.field("enforcing_consecutive_gateway_failure"),
    ),
    splitExternalLocalOriginErrors: split,
    consecutiveLocalOriginFailure: threshold(
      detection.consecutiveLocalOriginFailure,
      detection.enforcingConsecutiveLocalOriginFailure ?? 100,
      place.field("enforcing_consecutive_local_origin_failure"),
    ),
    interval: positiveMilliseconds(detection.interval, 10_000, place.field("interval")),
    baseEjectionTime,
    maxEjectionTime,
    maxEjectionPercent,
  };
}

/** 0 switches a detector off. As in Envoy, 5 failures in a row are too many unless said otherwise. */
function threshold(failures: number | undefined, enforcing: number, place: Place): number {
  place.require(enforcing === 0 || enforcing === 100, "want 0 or 100: ejecting a part of the time is not implemented");
  return enforcing === 0 ? 0 : failures ?? 5;
}

function requireOff(enforcing: number, place: Place): void {
  place.require(enforcing === 0, "want 0: this detector is not implemented");
}
