/** Rules of VirtualServices that no request reaches. */
import type { VirtualService } from "../istio/types.ts";
import type { Segment } from "../yaml/cursor.ts";
import type { Analysis } from "./analysis.ts";
import { type Finding, finding } from "./finding.ts";

interface Rule {
  name?: string;
  match?: unknown[];
}

/**
 * Rules after one that takes everything, and rules all of whose matches an earlier rule has (IST0130); single matches
 * that an earlier rule has (IST0131).
 */
export function routeOrder(analysis: Analysis): Finding[] {
  return analysis.virtualServices.flatMap((virtualService) =>
    (["http", "tls", "tcp"] as const).flatMap((list) =>
      rulesOf(virtualService, ["spec", list], (virtualService.spec[list] ?? []) as Rule[])
    )
  );
}

function rulesOf(virtualService: VirtualService, path: Segment[], rules: Rule[]): Finding[] {
  const findings: Finding[] = [];
  /** Number of the rule by the text of the match. */
  const seen = new Map<string, number>();
  let takesAll: number | undefined;
  rules.forEach((rule, index) => {
    const named = rule.name === undefined ? `#${index}` : JSON.stringify(rule.name);
    const unreachable = (reason: string) =>
      findings.push(
        finding("IST0130", virtualService, [...path, index], `VirtualService rule ${named} not used (${reason}).`),
      );
    if (takesAll !== undefined) {
      unreachable(`rule #${takesAll} before it has no matches, so that it takes every request`);
      return;
    }
    const matches = rule.match ?? [];
    if (matches.length === 0) {
      takesAll = index;
      return;
    }
    const repeated = matches.map((match) => seen.get(canonical(match)));
    if (repeated.every((earlier) => earlier !== undefined)) {
      unreachable(`all matches used by prior rules`);
    } else {
      repeated.forEach((earlier, matchIndex) => {
        if (earlier === undefined) return;
        const message = `VirtualService rule ${named} match #${matchIndex} is not used ` +
          `(duplicate/overlapping match in rule #${earlier}).`;
        findings.push(finding("IST0131", virtualService, [...path, index, "match", matchIndex], message));
      });
    }
    for (const match of matches) {
      const key = canonical(match);
      if (!seen.has(key)) seen.set(key, index);
    }
  });
  return findings;
}

/** One text for matches that say the same: keys in order, without the name, which matches nothing. */
function canonical(match: unknown): string {
  return JSON.stringify(match, (key, value) => {
    if (key === "name" && typeof value === "string") return undefined;
    if (value === null || typeof value !== "object" || Array.isArray(value)) return value;
    return Object.fromEntries(Object.entries(value).sort(([one], [other]) => one < other ? -1 : 1));
  });
}
