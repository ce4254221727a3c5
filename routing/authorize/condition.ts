/**
 * What the permissions and principals of Envoy's RBAC ask, as one tree of plain data: the form in which rules go to the
 * data threads.
 */
import type { IdentityPattern } from "./identity_pattern.ts";

/** How a text is compared; `regex` is RE2 for the whole text. */
export interface TextMatch {
  kind: "exact" | "prefix" | "suffix" | "contains" | "regex" | "present";
  value: string;
  ignoreCase: boolean;
}

export interface AddressPrefix {
  address: string;
  length: number;
}

export type Condition =
  | { kind: "any" }
  | { kind: "all"; of: Condition[] }
  | { kind: "some"; of: Condition[] }
  | { kind: "not"; of: Condition }
  // Of the connection.
  | { kind: "authenticated" }
  | { kind: "principal"; match: TextMatch }
  | { kind: "identity"; pattern: IdentityPattern }
  | { kind: "peerAddress"; range: AddressPrefix }
  | { kind: "localAddress"; range: AddressPrefix }
  /** From `first` up to and with `last`. */
  | { kind: "localPort"; first: number; last: number }
  | { kind: "serverName"; match: TextMatch }
  // Of the request.
  | { kind: "remoteAddress"; range: AddressPrefix }
  /** `:method`, `:authority`, `:path` and `:scheme` are names here too. */
  | { kind: "header"; name: string; match: TextMatch; invert: boolean }
  /** Without its query. */
  | { kind: "path"; match: TextMatch }
  | { kind: "pathTemplate"; template: string };

export interface PolicyConfig {
  name: string;
  condition: Condition;
}

/** One RBAC filter. `rules`: `null` where it enforces nothing; `shadow` only tells what it would do. */
export interface RbacConfig {
  rules: RuleSetConfig | null;
  shadow: RuleSetConfig | null;
}

/** Policies in the order of their names, as Envoy goes through them. */
export interface RuleSetConfig {
  action: "ALLOW" | "DENY" | "LOG";
  policies: PolicyConfig[];
}
