/** Brings the target of a request into its one spelling: before it is matched, judged, logged and forwarded. */
import type { HttpConnectionManagerConfig } from "../config/model.ts";
import { latin1 } from "../decode/characters.ts";
import type { RequestHead } from "../decode/head.ts";
import { canonicalizeHost } from "../../routing/canonical/host.ts";
import { canonicalizePath, hasEscapedSlash, REFUSED } from "../../routing/canonical/path.ts";

/** What becomes of the request. */
export const Target = {
  canonical: 0,
  /** 400: recipients could read the path differently. */
  refused: 1,
  /** 307 to the canonical path: the caller is to ask again with it. */
  redirected: 2,
} as const;

/** Rewrites path and authority of the head in place; one of `Target`. */
export function canonicalizeTarget(head: RequestHead, http: HttpConnectionManagerConfig): number {
  const { bytes } = head.fields;
  if (http.hosts !== undefined) {
    head.authorityEnd = canonicalizeHost(bytes, head.authorityStart, head.authorityEnd, http.hosts);
  }
  const rules = http.paths;
  if (rules === undefined) return Target.canonical;
  const escaped = rules.escapedSlashes === "redirect" && hasEscapedSlash(bytes, head.pathStart, head.queryStart);
  const end = canonicalizePath(bytes, head.pathStart, head.queryStart, rules);
  if (end === REFUSED) return Target.refused;
  if (end !== head.queryStart) {
    bytes.copyWithin(end, head.queryStart, head.pathEnd);
    head.pathEnd -= head.queryStart - end;
    head.queryStart = end;
  }
  return escaped ? Target.redirected : Target.canonical;
}

/** The `location` line that leads to the canonical path. */
export function canonicalLocation(head: RequestHead): string {
  return `location: ${latin1(head.fields.bytes, head.pathStart, head.pathEnd)}\r\n`;
}
