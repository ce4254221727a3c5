/** What an analyser finds: valid resources that are wrong together, under the codes of Istio's own analysers. */
import type { Segment } from "../yaml/cursor.ts";
import type { Resource } from "../istio/types.ts";

export type Level = "Error" | "Warning" | "Info";

/** Level of each code that is used here. Codes, names and levels: Istio's configuration analysis messages. */
const levels = {
  IST0101: "Error", // ReferencedResourceNotFound
  IST0106: "Error", // SchemaValidationError
  IST0108: "Warning", // UnknownAnnotation
  IST0109: "Error", // ConflictingMeshGatewayVirtualServiceHosts
  IST0110: "Error", // ConflictingSidecarWorkloadSelectors
  IST0111: "Error", // MultipleSidecarsWithoutWorkloadSelectors
  IST0112: "Error", // VirtualServiceDestinationPortSelectorRequired
  IST0113: "Error", // MTLSPolicyConflict
  IST0118: "Info", // PortNameIsNotUnderNamingConvention
  IST0127: "Warning", // NoMatchingWorkloadsFound
  IST0130: "Warning", // VirtualServiceUnreachableRule
  IST0131: "Info", // VirtualServiceIneffectiveMatch
  IST0132: "Warning", // VirtualServiceHostNotFoundInGateway
  IST0133: "Warning", // SchemaWarning
  IST0138: "Warning", // GatewayDuplicateCertificate
  IST0140: "Warning", // IngressRouteRulesNotAffected
  IST0145: "Error", // ConflictingGateways
  IST0149: "Error", // JwtClaimBasedRoutingWithoutRequestAuthN
  IST0150: "Warning", // ExternalNameServiceTypeInvalidPortName
  IST0157: "Warning", // InvalidTelemetryProvider
  IST0159: "Error", // ConflictingTelemetryWorkloadSelectors
  IST0160: "Error", // MultipleTelemetriesWithoutWorkloadSelectors
} as const satisfies Record<string, Level>;

export type Code = keyof typeof levels;

export interface Finding {
  code: Code;
  level: Level;
  resource: Resource;
  /** The field that is meant; empty: the resource as a whole. */
  path: Segment[];
  message: string;
}

export function finding(code: Code, resource: Resource, path: Segment[], message: string): Finding {
  return { code, level: levels[code], resource, path, message };
}

/** `Error [IST0101] (VirtualService default/reviews mesh/reviews.yaml:12) spec.http[0]: …`, as `istioctl analyze` has it. */
export function formatFinding(found: Finding, line: number, field: string): string {
  const { code, level, resource: { kind, metadata, origin }, message } = found;
  const place = origin.file === "" ? "" : ` ${origin.file}:${line}`;
  return `${level} [${code}] (${kind} ${metadata.namespace}/${metadata.name}${place}) ${
    field === "" ? "" : `${field}: `
  }` +
    message;
}
