/** Outlier detection with Envoy's defaults. */
import type { OutlierDetection } from "../../../routing/xds/gen/envoy/config/cluster/v3/outlier_detection_pb.ts";
import type { OutlierDetectionConfig } from "../model.ts";
import type { Place } from "./unsupported.ts";
import { milliseconds, positiveMilliseconds } from "./values.ts";

const defaultMaxEjectionTime = 300_000;

/** The detectors with their thresholds; one that is never enforced is off. `errors`: statuses that count as such. */
export function outlierDetection(
  detection: OutlierDetection | undefined,
  errors: number[] | undefined,
  place: Place,
): OutlierDetectionConfig | null {
  if (detection === undefined) return null;
  const split = detection.splitExternalLocalOriginErrors;
  const percent = (name: string, value: number | undefined, absent: number) => {
    place.field(name).require((value ?? absent) <= 100, "want at most 100");
    return value ?? absent;
  };
  const baseEjectionTime = positiveMilliseconds(detection.baseEjectionTime, 30_000, place.field("base_ejection_time"));
  const maxEjectionTime = positiveMilliseconds(
    detection.maxEjectionTime,
    Math.max(defaultMaxEjectionTime, baseEjectionTime),
    place.field("max_ejection_time"),
  );
  place.field("max_ejection_time").require(maxEjectionTime >= baseEjectionTime, "want at least base_ejection_time");
  const maxEjectionPercent = detection.maxEjectionPercent ?? 10;
  place.field("max_ejection_percent").require(maxEjectionPercent <= 100, "want at most 100");
  const enforcing5xx = percent("enforcing_consecutive_5xx", detection.enforcingConsecutive5xx, 100);
  const enforcingGateway = percent(
    "enforcing_consecutive_gateway_failure",
    detection.enforcingConsecutiveGatewayFailure,
    0,
  );
  const enforcingLocal = percent(
    "enforcing_consecutive_local_origin_failure",
    detection.enforcingConsecutiveLocalOriginFailure,
    100,
  );
  const successRate = {
    minimumHosts: detection.successRateMinimumHosts ?? 5,
    requestVolume: detection.successRateRequestVolume ?? 100,
    stdevFactor: detection.successRateStdevFactor ?? 1900,
    enforcing: percent("enforcing_success_rate", detection.enforcingSuccessRate, 100),
    enforcingLocalOrigin: split
      ? percent("enforcing_local_origin_success_rate", detection.enforcingLocalOriginSuccessRate, 100)
      : 0,
  };
  const failurePercentage = {
    minimumHosts: detection.failurePercentageMinimumHosts ?? 5,
    requestVolume: detection.failurePercentageRequestVolume ?? 50,
    threshold: percent("failure_percentage_threshold", detection.failurePercentageThreshold, 85),
    enforcing: percent("enforcing_failure_percentage", detection.enforcingFailurePercentage, 0),
    enforcingLocalOrigin: split
      ? percent("enforcing_failure_percentage_local_origin", detection.enforcingFailurePercentageLocalOrigin, 0)
      : 0,
  };
  const jitter = milliseconds(detection.maxEjectionTimeJitter, 0, place.field("max_ejection_time_jitter"));
  const isOn = (one: { enforcing: number; enforcingLocalOrigin: number }) =>
    one.enforcing > 0 || one.enforcingLocalOrigin > 0;
  const isPart = (enforcing: number) => enforcing > 0 && enforcing < 100;
  return {
    consecutive5xx: threshold(detection.consecutive5xx, enforcing5xx),
    consecutiveGatewayFailure: threshold(detection.consecutiveGatewayFailure, enforcingGateway),
    splitExternalLocalOriginErrors: split,
    consecutiveLocalOriginFailure: threshold(detection.consecutiveLocalOriginFailure, enforcingLocal),
    interval: positiveMilliseconds(detection.interval, 10_000, place.field("interval")),
    baseEjectionTime,
    maxEjectionTime,
    maxEjectionPercent,
    ...(errors !== undefined && { errorStatuses: errors }),
    ...(isPart(enforcing5xx) && { enforcingConsecutive5xx: enforcing5xx }),
    ...(isPart(enforcingGateway) && { enforcingConsecutiveGatewayFailure: enforcingGateway }),
    ...(isPart(enforcingLocal) && { enforcingConsecutiveLocalOriginFailure: enforcingLocal }),
    ...(jitter > 0 && { maxEjectionTimeJitter: jitter }),
    ...(detection.alwaysEjectOneHost === false && { alwaysEjectOneHost: false }),
    ...(detection.successfulActiveHealthCheckUnejectHost === false && { healthCheckUnejects: false }),
    ...(isOn(successRate) && { successRate }),
    ...(isOn(failurePercentage) && { failurePercentage }),
  };
}

/** 0 switches a detector off. As in Envoy, 5 failures in a row are too many unless said otherwise. */
function threshold(failures: number | undefined, enforcing: number): number {
  return enforcing === 0 ? 0 : failures ?? 5;
}
