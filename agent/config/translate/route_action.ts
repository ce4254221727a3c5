/** What routes do with a request. */
import type {
  RedirectAction,
  Route,
  RouteAction,
  RouteAction_UpgradeConfig as UpgradeConfig,
  WeightedCluster,
} from "../../../routing/xds/gen/envoy/config/route/v3/route_components_pb.ts";
import { RedirectAction_RedirectResponseCode as Code } from "../../../routing/xds/gen/envoy/config/route/v3/route_components_pb.ts";
import type { RegexMatchAndSubstitute } from "../../../routing/xds/gen/envoy/type/matcher/v3/regex_pb.ts";
import type {
  DirectResponseConfig,
  RedirectConfig,
  RetryConfig,
  RouteActionConfig,
  WeightedClusterConfig,
} from "../model.ts";
import { hashPolicy } from "./hash_policy.ts";
import { headerLevel } from "./header_mutation.ts";
import { mirrors } from "./mirrors.ts";
import { retryPolicy } from "./retry_policy.ts";
import type { Place } from "./unsupported.ts";
import { routeTimeouts } from "./route_timeouts.ts";
import { compiledPattern, inlineText, milliseconds, pattern } from "./values.ts";

const connectType = "connect";

/** What actions inherit from the levels above the route. */
export interface Inherited {
  /** The virtual host's, for routes without one of their own. */
  retry: RetryConfig | null;
  maxDirectResponseBodyBytes: number;
}

/** The action of a route; of weighted clusters the header mutations are only those of their own level. */
export function routeAction(
  { action, match }: Route,
  inherited: Inherited,
  place: Place,
): RouteActionConfig | RedirectConfig | DirectResponseConfig {
  switch (action.case) {
    case "route":
      return forward(
        action.value,
        inherited.retry,
        match?.pathSpecifier.case === "connectMatcher",
        place.field("route"),
      );
    case "redirect":
      return redirect(action.value, place.field("redirect"));
    case "directResponse": {
      const at = place.field("direct_response");
      const { status, body } = action.value;
      at.field("status").require(status >= 200 && status < 600, "want a status from 200 to 599");
      const text = inlineText(body, at.field("body")) ?? "";
      const limit = inherited.maxDirectResponseBodyBytes;
      at.field("body").require(new TextEncoder().encode(text).length <= limit, `want at most ${limit} bytes`);
      return { kind: "direct", status, body: text };
    }
    default:
      return place.refuse("want a route, a redirect or a direct_response");
  }
}

function forward(
  action: RouteAction,
  inheritedRetry: RetryConfig | null,
  takesConnect: boolean,
  place: Place,
): RouteActionConfig {
  const { prefixRewrite, regexRewrite, hostRewriteSpecifier } = action;
  place.field("regex_rewrite").require(
    prefixRewrite === "" || regexRewrite === undefined,
    "cannot stand beside prefix_rewrite",
  );
  const hashPolicies = action.hashPolicy.map((policy, index) =>
    hashPolicy(policy, place.field("hash_policy").item(index))
  );
  const allowed = upgrades(action.upgradeConfigs, place.field("upgrade_configs"));
  place.field("upgrade_configs").require(
    takesConnect === allowed.has(connectType),
    takesConnect ? "want one of CONNECT with connect_config" : "CONNECT wants a connect_matcher",
  );
  return {
    kind: "route",
    clusters: clusters(action, place),
    ...routeTimeouts(action, place),
    idleTimeout: milliseconds(action.idleTimeout, null, place.field("idle_timeout")),
    retry: retryPolicy(action.retryPolicy, place.field("retry_policy")) ?? inheritedRetry,
    prefixRewrite,
    regexRewrite: regexRewrite === undefined ? null : substitution(regexRewrite, place.field("regex_rewrite")),
    hostRewrite: hostRewriteSpecifier.case === "hostRewriteLiteral" ? hostRewriteSpecifier.value : "",
    ...(action.requestMirrorPolicies.length === 0
      ? {}
      : { mirrors: mirrors(action.requestMirrorPolicies, place.field("request_mirror_policies")) }),
    ...(hashPolicies.length === 0 ? {} : { hashPolicies }),
    ...(allowed.size === 0 ? {} : { upgrades: Object.fromEntries(allowed) }),
  };
}

/** By protocol, in lower case. Of CONNECT the cluster gets the bytes alone: it is not passed on as a request. */
function upgrades(configs: UpgradeConfig[], place: Place): Map<string, boolean> {
  const allowed = new Map<string, boolean>();
  configs.forEach(({ upgradeType, enabled, connectConfig }, index) => {
    const at = place.item(index);
    const type = upgradeType.toLowerCase();
    at.field("upgrade_type").require(/^[^\s,]+$/.test(type), "want the name of one protocol");
    at.field("upgrade_type").require(!allowed.has(type), `${JSON.stringify(upgradeType)} is named already`);
    at.field("connect_config").require(
      (connectConfig !== undefined) === (type === connectType),
      type === connectType ? "want it: CONNECT as a request is not implemented" : "is for CONNECT only",
    );
    allowed.set(type, enabled !== false);
  });
  return allowed;
}

function clusters({ clusterSpecifier: { case: kind, value } }: RouteAction, place: Place): WeightedClusterConfig[] {
  if (kind === "weightedClusters") return weightedClusters(value, place.field("weighted_clusters"));
  if (kind !== "cluster" || value === "") return place.refuse("want a cluster or weighted_clusters");
  const none = () => ({ set: [], remove: [] });
  return [{ name: value, weight: 1, requestHeaders: none(), responseHeaders: none() }];
}

function weightedClusters(weighted: WeightedCluster, place: Place): WeightedClusterConfig[] {
  let total = 0;
  const clusters = weighted.clusters.map((cluster, index) => {
    const at = place.field("clusters").item(index);
    at.field("name").require(cluster.name !== "", "want the name of a cluster");
    if (cluster.weight === undefined) return at.field("weight").refuse("want a weight");
    total += cluster.weight;
    const { request, response } = headerLevel(cluster, at);
    const rewrite = cluster.hostRewriteSpecifier;
    if (rewrite.case === "hostRewriteLiteral" && rewrite.value !== "") {
      request.set.push({ name: ":authority", value: rewrite.value, mode: "overwrite" });
    }
    return { name: cluster.name, weight: cluster.weight, requestHeaders: request, responseHeaders: response };
  });
  place.require(total > 0 && total < 2 ** 32, "want weights whose sum is from 1 to 4294967295");
  place.field("total_weight").require(
    (weighted.totalWeight ?? total) === total,
    `want ${total}, the sum of the weights`,
  );
  return clusters;
}

function substitution({ pattern: matcher, substitution }: RegexMatchAndSubstitute, place: Place) {
  if (matcher === undefined) return place.refuse("want a pattern");
  const value = pattern(matcher, place.field("pattern"));
  const groups = compiledPattern(value, place.field("pattern")).groupCount();
  const at = place.field("substitution");
  for (const [reference, group] of substitution.matchAll(/\\(.?)/g)) {
    at.require(/^\d$/.test(group), `${JSON.stringify(reference)} is not implemented`);
    at.require(Number(group) <= groups, `the pattern has no group ${group}`);
  }
  return { pattern: value, substitution };
}

const redirectStatus: Record<Code, number> = {
  [Code.MOVED_PERMANENTLY]: 301,
  [Code.FOUND]: 302,
  [Code.SEE_OTHER]: 303,
  [Code.TEMPORARY_REDIRECT]: 307,
  [Code.PERMANENT_REDIRECT]: 308,
};

function redirect(action: RedirectAction, place: Place): RedirectConfig {
  const { schemeRewriteSpecifier: scheme, pathRewriteSpecifier: path } = action;
  const status = redirectStatus[action.responseCode];
  if (status === undefined) return place.field("response_code").refuse(`${action.responseCode} is not implemented`);
  place.field("port_redirect").require(action.portRedirect <= 65535, "want a port number");
  return {
    kind: "redirect",
    status,
    host: action.hostRedirect,
    port: action.portRedirect,
    scheme: scheme.case === "schemeRedirect"
      ? scheme.value
      : scheme.case === "httpsRedirect" && scheme.value
      ? "https"
      : "",
    path: path.case === "pathRedirect" ? path.value : "",
    prefixRewrite: path.case === "prefixRewrite" ? path.value : "",
    stripQuery: action.stripQuery,
  };
}
