/** How paths and authorities are spelt before anything looks at them. */
import {
  type HttpConnectionManager,
  HttpConnectionManager_PathWithEscapedSlashesAction as EscapedSlashes,
} from "../../../routing/xds/gen/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager_pb.ts";
import type { HostRules } from "../../../routing/canonical/host.ts";
import type { PathRules } from "../../../routing/canonical/path.ts";
import type { Place } from "./unsupported.ts";

const escapedSlashes: Record<EscapedSlashes, PathRules["escapedSlashes"]> = {
  // Envoy's own default, unless its runtime says otherwise.
  [EscapedSlashes.IMPLEMENTATION_SPECIFIC_DEFAULT]: "keep",
  [EscapedSlashes.KEEP_UNCHANGED]: "keep",
  [EscapedSlashes.REJECT_REQUEST]: "reject",
  [EscapedSlashes.UNESCAPE_AND_REDIRECT]: "redirect",
  [EscapedSlashes.UNESCAPE_AND_FORWARD]: "forward",
};

/** `null` where every path stays as it comes. Envoy normalises only where it is told to. */
export function pathRules(manager: HttpConnectionManager, place: Place): PathRules | null {
  const { normalizePath = false, mergeSlashes, pathWithEscapedSlashesAction: action } = manager;
  const escaped = escapedSlashes[action];
  if (escaped === undefined) return place.field("path_with_escaped_slashes_action").refuse("is not implemented");
  if (!normalizePath && !mergeSlashes && escaped === "keep") return null;
  return { normalize: normalizePath, mergeSlashes, escapedSlashes: escaped };
}

/** `null` where every authority stays as it comes. */
export function hostRules(manager: HttpConnectionManager, port: number, place: Place): HostRules | null {
  const any = manager.stripPortMode.case === "stripAnyHostPort" && manager.stripPortMode.value;
  place.field("strip_matching_host_port").require(
    !any || !manager.stripMatchingHostPort,
    "cannot stand beside strip_any_host_port",
  );
  const stripPort = any ? "any" : manager.stripMatchingHostPort ? port : "none";
  if (stripPort === "none" && !manager.stripTrailingHostDot) return null;
  return { stripTrailingDot: manager.stripTrailingHostDot, stripPort };
}
