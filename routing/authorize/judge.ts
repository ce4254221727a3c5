/**
 * The decision of Envoy's RBAC filters
 * (https://www.envoyproxy.io/docs/envoy/latest/configuration/http/http_filters/rbac_filter): each filter in its order,
 * the first that refuses decides. What the connection settles is settled once, so that requests ask for the rest only.
 */
import type { RbacConfig, RuleSetConfig } from "./condition.ts";
import type { ConnectionFacts, RequestFacts } from "./facts.ts";
import { holds, narrow, type Node, prepare, type Reading } from "./tree.ts";

/** `policy`: the one that matched; `none` where no policy of an ALLOW filter did, empty where nothing refuses. */
export interface Verdict {
  readonly allowed: boolean;
  readonly policy: string;
}

export const allowed: Verdict = { allowed: true, policy: "" };
const noneMatched: Verdict = { allowed: false, policy: "none" };

interface Policy {
  name: string;
  node: Node;
}

interface RuleSet {
  action: RuleSetConfig["action"];
  policies: readonly Policy[];
}

/** The filters of one filter chain. */
export class Rules {
  readonly #enforced: RuleSet[];
  readonly #shadow: RuleSet[];

  /** @throws {Error} where an expression, a range or a template is none */
  constructor(filters: readonly RbacConfig[]) {
    this.#enforced = filters.flatMap(({ rules }) => rules === null ? [] : [ruleSet(rules)]);
    this.#shadow = filters.flatMap(({ shadow }) => shadow === null ? [] : [ruleSet(shadow)]);
  }

  /** What they mean for one connection. */
  forConnection(facts: ConnectionFacts): ConnectionRules {
    return new ConnectionRules(
      this.#enforced.map((rules) => narrowed(rules, facts)),
      this.#shadow.map((rules) => narrowed(rules, facts)),
    );
  }
}

/** The rules for one connection. */
export class ConnectionRules {
  /** The verdict on every request of the connection; `null` where requests differ. */
  readonly settled: Verdict | null;
  readonly #enforced: readonly RuleSet[];
  readonly #shadow: readonly RuleSet[];

  constructor(enforced: readonly RuleSet[], shadow: readonly RuleSet[]) {
    this.settled = settledBy(enforced);
    this.#enforced = enforced;
    this.#shadow = shadow;
  }

  get hasShadow(): boolean {
    return this.#shadow.length > 0;
  }

  judge(request: RequestFacts): Verdict {
    return this.settled ?? judgedBy(this.#enforced, request);
  }

  /** What the rules that are only tried out would say. */
  judgeShadow(request: RequestFacts): Verdict {
    return judgedBy(this.#shadow, request);
  }
}

function ruleSet({ action, policies }: RuleSetConfig): RuleSet {
  const sorted = [...policies].sort((one, other) => one.name < other.name ? -1 : one.name > other.name ? 1 : 0);
  return { action, policies: sorted.map(({ name, condition }) => ({ name, node: prepare(condition) })) };
}

function narrowed({ action, policies }: RuleSet, facts: ConnectionFacts): RuleSet {
  const left: Policy[] = [];
  for (const { name, node } of policies) {
    const inner = narrow(node, facts);
    if (inner.kind === "constant" && !inner.value) continue;
    left.push({ name, node: inner });
    // It matches everything: those behind it are never asked.
    if (inner.kind === "constant") break;
  }
  return { action, policies: left };
}

/** `null`: a request must be seen. */
function settledBy(sets: readonly RuleSet[]): Verdict | null {
  for (const { action, policies } of sets) {
    if (action === "LOG") continue;
    const certain = policies.find(({ node }) => node.kind === "constant");
    if (action === "ALLOW") {
      if (certain !== undefined) continue;
      return policies.length === 0 ? noneMatched : null;
    }
    if (policies.length === 0) continue;
    return policies[0] === certain ? { allowed: false, policy: certain.name } : null;
  }
  return allowed;
}

function judgedBy(sets: readonly RuleSet[], request: RequestFacts): Verdict {
  for (const { action, policies } of sets) {
    if (action === "LOG") continue;
    const reading: Reading = action === "ALLOW" ? "every" : "some";
    const matched = policies.find(({ node }) => holds(node, request, reading));
    if (action === "ALLOW" && matched === undefined) return noneMatched;
    if (action === "DENY" && matched !== undefined) return { allowed: false, policy: matched.name };
  }
  return allowed;
}
