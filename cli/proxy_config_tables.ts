/** xDS resources as tables for people. */
import type { ProxyResourceView } from "../controlplane/api/proxy_config.ts";
import { table } from "./table.ts";

/** A message in protobuf's JSON, as far as it is looked at. */
// deno-lint-ignore no-explicit-any -- the shape is Envoy's API
type Json = any;

const list = (value: Json): Json[] => value ?? [];

export const configTables: Record<string, (resources: ProxyResourceView[]) => string> = {
  listeners: (resources) => rows(["LISTENER", "ADDRESS", "MATCH", "DESTINATION"], resources, listenerRows),
  routes: (resources) => rows(["ROUTES", "DOMAINS", "MATCH", "DESTINATION"], resources, routeRows),
  clusters: (resources) =>
    rows(["SERVICE", "PORT", "SUBSET", "DIRECTION", "TYPE", "BALANCING", "TLS"], resources, clusterRows),
  endpoints: (resources) => rows(["ENDPOINT", "HEALTH", "WEIGHT", "LOCALITY", "CLUSTER"], resources, endpointRows),
  secrets: secretTable,
};

/** With the proxy before each row where there are several, and the status behind. */
function rows(
  heading: string[],
  resources: ProxyResourceView[],
  describe: (resource: Json, name: string) => string[][],
): string {
  if (resources.length === 0) return "none";
  const several = new Set(resources.map(nameOf)).size > 1;
  const lines = resources.flatMap((each) => {
    const { name, resource, status } = each;
    const described = resource === undefined
      ? [[name, ...heading.slice(1).map((_, i) => i === 0 ? "(being replaced)" : "")]]
      : describe(resource, name);
    return described.map((cells) => [...(several ? [nameOf(each)] : []), ...cells, status]);
  });
  return table([[...(several ? ["PROXY"] : []), ...heading, "STATUS"], ...lines]);
}

function nameOf({ proxy, agent }: ProxyResourceView): string {
  return `${proxy} on ${agent}`;
}

function addressOf(address: Json): string {
  const { socketAddress, pipe } = address ?? {};
  if (socketAddress === undefined) return pipe === undefined ? "" : `unix:${pipe.path}`;
  const host = socketAddress.address;
  return `${host.includes(":") ? `[${host}]` : host}:${socketAddress.portValue ?? 0}`;
}

function listenerRows({ address, filterChains, defaultFilterChain }: Json, name: string): string[][] {
  const chains = [...list(filterChains), ...(defaultFilterChain === undefined ? [] : [defaultFilterChain])];
  return chains.map((chain) => [name, addressOf(address), chainMatch(chain), chainDestination(chain)]);
}

function chainMatch({ filterChainMatch: match = {}, transportSocket }: Json): string {
  const parts = [
    ...(match.serverNames === undefined ? [] : [`SNI ${shortened(match.serverNames, 1)}`]),
    ...list(match.prefixRanges).map(({ addressPrefix, prefixLen }) => `to ${addressPrefix}/${prefixLen}`),
    ...(match.destinationPort === undefined ? [] : [`port ${match.destinationPort}`]),
    ...(match.applicationProtocols === undefined ? [] : [`ALPN ${match.applicationProtocols.join(",")}`]),
  ];
  const kind = transportSocket !== undefined
    ? "TLS"
    : match.transportProtocol === "tls"
    ? "TLS passed on"
    : "plaintext";
  return [...parts, parts.length === 0 && match.transportProtocol === undefined && kind !== "TLS" ? "ALL" : kind].join(
    "; ",
  );
}

function chainDestination({ filters }: Json): string {
  const { typedConfig = {} } = list(filters).at(-1) ?? {};
  const { rds, routeConfig, cluster, weightedClusters } = typedConfig;
  if (rds !== undefined) return `routes ${rds.routeConfigName}`;
  if (routeConfig !== undefined) return routeConfigDestination(routeConfig);
  return cluster ?? weights(weightedClusters) ?? "";
}

/** A route configuration that stands in its listener. */
function routeConfigDestination({ name = "", virtualHosts }: Json): string {
  const routes = list(virtualHosts).flatMap((host) => list(host.routes));
  return routes.length === 1 ? routeDestination(routes[0]) : `routes ${name} (in the listener)`;
}

function routeRows({ virtualHosts }: Json, name: string): string[][] {
  return list(virtualHosts).flatMap(({ domains, routes }) =>
    list(routes).map((
      route,
    ) => [name, shortened(list(domains)), routeMatch(route.match ?? {}), routeDestination(route)])
  );
}

function shortened(names: string[], count = 2): string {
  return names.length > count ? `${names.slice(0, count).join(", ")} + ${names.length - count} more` : names.join(", ");
}

function routeMatch({ prefix, path, safeRegex, pathSeparatedPrefix, headers, queryParameters }: Json): string {
  const paths = path ??
    (pathSeparatedPrefix !== undefined
      ? `${pathSeparatedPrefix}/*`
      : safeRegex !== undefined
      ? `regex ${safeRegex.regex}`
      : `${prefix ?? ""}*`);
  const conditions = [...list(headers), ...list(queryParameters).map((each) => ({ ...each, name: `?${each.name}` }))]
    .map(condition);
  return conditions.length === 0 ? paths : `${paths} if ${conditions.join(", ")}`;
}

/** `x-user = jason`, `not x-plain`. */
function condition({ name, stringMatch, presentMatch, invertMatch }: Json): string {
  const not = (invertMatch ?? false) !== (presentMatch === false) ? "not " : "";
  const { exact, prefix, suffix, contains, safeRegex } = stringMatch ?? {};
  if (exact !== undefined) return `${not}${name} = ${exact}`;
  if (prefix !== undefined) return `${not}${name} = ${prefix}*`;
  if (suffix !== undefined) return `${not}${name} = *${suffix}`;
  if (contains !== undefined) return `${not}${name} = *${contains}*`;
  return safeRegex === undefined ? `${not}${name}` : `${not}${name} = regex ${safeRegex.regex}`;
}

function routeDestination({ route, redirect, directResponse }: Json): string {
  if (redirect !== undefined) return `redirect to ${redirectTarget(redirect)}`;
  if (directResponse !== undefined) return `answer ${directResponse.status}`;
  return route?.cluster ?? weights(route?.weightedClusters) ?? "";
}

function redirectTarget({ httpsRedirect, schemeRedirect, hostRedirect, portRedirect, ...path }: Json): string {
  const scheme = schemeRedirect ?? (httpsRedirect ? "https" : undefined);
  const port = portRedirect === undefined ? "" : `:${portRedirect}`;
  const authority = scheme === undefined && hostRedirect === undefined && port === ""
    ? ""
    : `${scheme === undefined ? "" : `${scheme}://`}${hostRedirect ?? "(same host)"}${port}`;
  return `${authority}${path.pathRedirect ?? path.prefixRewrite ?? (authority === "" ? "/" : "")}`;
}

function weights(weighted: Json): string | undefined {
  return weighted === undefined
    ? undefined
    : list(weighted.clusters).map(({ name, weight }) => `${weight ?? 0}: ${name}`).join(", ");
}

function clusterRows(cluster: Json, name: string): string[][] {
  const { type, lbPolicy, transportSocket, transportSocketMatches } = cluster;
  const tls = transportSocket !== undefined ||
    list(transportSocketMatches).some(({ name }) => /istio/.test(name ?? ""));
  const mode = transportSocketMatches === undefined ? tls ? "yes" : "no" : "where the endpoint has it";
  return [[...istioName(name), type ?? "STATIC", lbPolicy ?? "ROUND_ROBIN", mode]];
}

/** Service, port, subset and direction of `outbound|9080|v1|reviews.default.svc.cluster.local`. */
function istioName(name: string): string[] {
  const parts = name.split("|");
  if (parts.length !== 4) return [name, "-", "-", "-"];
  const [direction, port, subset, host] = parts;
  return [host || "(this workload)", port, subset || "-", direction];
}

function endpointRows({ endpoints }: Json, name: string): string[][] {
  const found = list(endpoints).flatMap(({ locality = {}, lbEndpoints, priority = 0 }) => {
    const place = [locality.region, locality.zone, locality.subZone].filter((part) => part !== undefined).join("/");
    return list(lbEndpoints).map(({ endpoint, healthStatus, loadBalancingWeight }) => [
      addressOf(endpoint?.address),
      healthStatus ?? "UNKNOWN",
      String(loadBalancingWeight ?? 1),
      `${place || "-"}${priority > 0 ? ` (priority ${priority})` : ""}`,
      name,
    ]);
  });
  return found.length > 0 ? found : [["(none)", "", "", "", name]];
}

/** Secrets that the control plane has sent, and those that listeners and clusters name. */
function secretTable(resources: ProxyResourceView[]): string {
  const found = new Map<string, { proxy: string; name: string; kind: string; uses: number; sent: boolean }>();
  const note = (proxy: string, name: string, kind: string) => {
    const known = found.get(`${proxy} ${name}`) ?? { proxy, name, kind: "", uses: 0, sent: false };
    if (kind !== "") known.kind = kind;
    found.set(`${proxy} ${name}`, known);
    return known;
  };
  for (const each of resources) {
    const { name, resource } = each;
    const proxy = nameOf(each);
    if (resource === undefined) note(proxy, name, "").sent = true;
    else for (const [secret, kind] of secretsIn(resource)) note(proxy, secret, kind).uses++;
  }
  if (found.size === 0) return "none";
  const lines = [...found.values()].map((
    { proxy, name, kind, uses, sent },
  ) => [
    proxy,
    name,
    kind || "-",
    String(uses),
    sent ? "by the control plane, as a path" : "by the agent itself",
  ]);
  return table([["PROXY", "SECRET", "KIND", "USES", "FOUND"], ...lines.sort()]);
}

/** Names in `SdsSecretConfig`s, at whatever depth, each with what it is. */
function* secretsIn(value: Json, field = ""): Iterable<[name: string, kind: string]> {
  if (value === null || typeof value !== "object") return;
  if (value.sdsConfig !== undefined && typeof value.name === "string") {
    yield [value.name, /validation/i.test(field) ? "trust bundle" : "certificate"];
    return;
  }
  for (const [key, inner] of Object.entries(value)) yield* secretsIn(inner, Array.isArray(value) ? field : key);
}
