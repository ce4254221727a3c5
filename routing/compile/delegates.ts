/**
 * Delegation: routes of a VirtualService that stand in another one, which has no hosts of its own.
 *
 * A delegate's conditions must lie within those of the root; where they do not, its route is left out. Source: istiod's
 * mergeVirtualServicesIfNeeded.
 */
import { resolveHost } from "../istio/host.ts";
import type { Destination, HTTPMatchRequest, HTTPRoute, StringMatch, VirtualService } from "../istio/types.ts";
import { type ListToken, listToken } from "./intern.ts";
import { exportedTo } from "./visibility.ts";
import type { CompileWarning } from "./warning.ts";

interface Resolved {
  virtualService: VirtualService;
  warnings: CompileWarning[];
}

/** Those that have been put together, so that what was compiled of them is found again. */
const resolved = new WeakMap<ListToken, Map<string, Resolved>>();
/** Stands for a delegate that there is not. */
const nothing = {};

/** Those with hosts, with the routes of their delegates in place, in the order of the list. */
export function withDelegates(
  virtualServices: readonly VirtualService[],
  domain: string,
): { virtualServices: VirtualService[]; warnings: CompileWarning[] } {
  const delegates = new Map<string, VirtualService>();
  for (const virtualService of virtualServices) {
    if (isDelegate(virtualService)) delegates.set(keyOf(virtualService.metadata), virtualService);
  }
  const warnings: CompileWarning[] = [];
  const whole = virtualServices.filter((each) => !isDelegate(each)).map((root) => {
    if (!root.spec.http?.some(({ delegate }) => delegate !== undefined)) return root;
    const used = (root.spec.http ?? []).map((route) => delegates.get(delegateKey(route, root)));
    const token = listToken([root, ...used.map((delegate) => delegate ?? nothing)]);
    let known = resolved.get(token);
    if (known === undefined) resolved.set(token, known = new Map());
    let entry = known.get(domain);
    if (entry === undefined) known.set(domain, entry = resolve(root, used, domain));
    warnings.push(...entry.warnings);
    return entry.virtualService;
  });
  return { virtualServices: whole, warnings };
}

function isDelegate({ spec }: VirtualService): boolean {
  return spec.hosts === undefined || spec.hosts.length === 0;
}

function keyOf({ namespace, name }: { namespace: string; name: string }): string {
  return `${namespace}/${name}`;
}

function delegateKey({ delegate }: HTTPRoute, { metadata }: VirtualService): string {
  return keyOf({ namespace: delegate?.namespace || metadata.namespace, name: delegate?.name ?? "" });
}

function resolve(root: VirtualService, used: readonly (VirtualService | undefined)[], domain: string): Resolved {
  const { namespace, name } = root.metadata;
  const warnings: CompileWarning[] = [];
  const http = (root.spec.http ?? []).flatMap((route, index) => {
    if (route.delegate === undefined) return [route];
    const warn = (message: string) =>
      warnings.push({ kind: "VirtualService", namespace, name, field: `http[${index}].delegate`, message });
    const delegate = used[index];
    if (delegate === undefined) {
      warn(`there is no VirtualService ${delegateKey(route, root)} without hosts: the route is left out`);
      return [];
    }
    if (!exportedTo(delegate.spec.exportTo, delegate.metadata.namespace, namespace)) {
      warn(`${delegateKey(route, root)} is not exported to namespace ${namespace}: the route is left out`);
      return [];
    }
    return (delegate.spec.http ?? []).flatMap((own, place) => {
      const merged = mergeRoutes(route, qualified(own, delegate.metadata.namespace, domain));
      if (merged === null) {
        warn(`http[${place}] of ${delegateKey(route, root)} asks for what the root excludes: it is left out`);
        return [];
      }
      return [merged];
    });
  });
  return { virtualService: { ...root, spec: { ...root.spec, http } }, warnings };
}

/** A delegate's route with the names that depend on its namespace made whole. */
function qualified(route: HTTPRoute, namespace: string, domain: string): HTTPRoute {
  const whole = (destination: Destination) => ({
    ...destination,
    host: resolveHost(destination.host, namespace, domain),
  });
  return {
    ...route,
    ...(route.route && { route: route.route.map((each) => ({ ...each, destination: whole(each.destination) })) }),
    ...(route.mirror && { mirror: whole(route.mirror) }),
    ...(route.mirrors &&
      { mirrors: route.mirrors.map((each) => ({ ...each, destination: whole(each.destination) })) }),
  };
}

/** What the delegate does not say is the root's; `null` where their conditions exclude each other. */
function mergeRoutes(root: HTTPRoute, delegate: HTTPRoute): HTTPRoute | null {
  const match = mergeMatches(root.match ?? [], delegate.match ?? []);
  if (match === null) return null;
  const { delegate: _, ...inherited } = root;
  return {
    ...inherited,
    ...delegate,
    name: joined(root.name, delegate.name),
    ...(match.length > 0 ? { match } : {}),
  };
}

/** Every pair that can hold together; each block of the delegate needs a partner. */
function mergeMatches(
  root: readonly HTTPMatchRequest[],
  delegate: readonly HTTPMatchRequest[],
): HTTPMatchRequest[] | null {
  if (root.length === 0) return [...delegate];
  if (delegate.length === 0) return [...root];
  const merged: HTTPMatchRequest[] = [];
  for (const own of delegate) {
    const partners = root.filter((each) => !excludes(each, own));
    if (partners.length === 0) return null;
    merged.push(...partners.map((each) => mergeMatch(each, own)));
  }
  return merged;
}

function mergeMatch(root: HTTPMatchRequest, delegate: HTTPMatchRequest): HTTPMatchRequest {
  const name = joined(root.name, delegate.name);
  return {
    ...root,
    ...delegate,
    ...(name === undefined ? {} : { name }),
    headers: { ...root.headers, ...delegate.headers },
    withoutHeaders: { ...root.withoutHeaders, ...delegate.withoutHeaders },
    queryParams: { ...root.queryParams, ...delegate.queryParams },
    sourceLabels: { ...root.sourceLabels, ...delegate.sourceLabels },
    gateways: delegate.gateways?.length ? delegate.gateways : root.gateways ?? [],
  };
}

function joined(root: string | undefined, delegate: string | undefined): string | undefined {
  return root && delegate ? `${root}-${delegate}` : delegate || root;
}

/** Whether the delegate's conditions do not lie within the root's. */
function excludes(root: HTTPMatchRequest, delegate: HTTPMatchRequest): boolean {
  const texts = (["uri", "scheme", "method", "authority"] as const).some((field) =>
    exceeds(root[field], delegate[field])
  );
  const maps = (["headers", "withoutHeaders", "queryParams"] as const).some((field) =>
    Object.entries(delegate[field] ?? {}).some(([key, value]) => exceeds(root[field]?.[key], value))
  );
  const labels = Object.entries(delegate.sourceLabels ?? {}).some(([key, value]) =>
    root.sourceLabels?.[key] !== undefined && root.sourceLabels[key] !== value
  );
  const differ = (one: string | number | undefined, other: string | number | undefined) =>
    Boolean(one) && Boolean(other) && one !== other;
  const gateways = Boolean(root.gateways?.length) &&
    (delegate.gateways ?? []).some((gateway) => !root.gateways!.includes(gateway));
  return texts || maps || labels || gateways || differ(root.port, delegate.port) ||
    differ(root.sourceNamespace, delegate.sourceNamespace) ||
    (root.ignoreUriCase ?? false) !== (delegate.ignoreUriCase ?? false);
}

/** Whether the delegate's pattern takes what the root's does not. Of regular expressions nobody can tell. */
function exceeds(root: StringMatch | undefined, delegate: StringMatch | undefined): boolean {
  if (root === undefined || delegate === undefined) return false;
  if (root.exact) return delegate.exact !== root.exact;
  if (!root.prefix) return true;
  return !(delegate.prefix || delegate.exact || "").startsWith(root.prefix);
}
