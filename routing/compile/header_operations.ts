/** Header operations of routes: what is set, added and removed on the way. */
import type { HeaderOperations, Headers } from "../istio/types.ts";
import { HeaderValueOption_HeaderAppendAction as AppendAction } from "../xds/gen/envoy/config/core/v3/base_pb.ts";

/** Fields that routes and weighted clusters have in common. */
export interface HeaderFields {
  requestHeadersToAdd: HeaderOption[];
  requestHeadersToRemove: string[];
  responseHeadersToAdd: HeaderOption[];
  responseHeadersToRemove: string[];
  /** The host that a `set` or `add` of `host` or `:authority` asks for; empty: none. */
  authority: string;
}

interface HeaderOption {
  header: { key: string; value: string };
  appendAction: AppendAction;
}

/** Envoy's form of the operations, `set` before `add`, each by name; pseudo headers and `host` are left to rewriting. */
export function headerFields(headers: Headers | undefined): HeaderFields {
  const { request, response } = headers ?? {};
  return {
    requestHeadersToAdd: options(request),
    requestHeadersToRemove: removals(request),
    responseHeadersToAdd: options(response),
    responseHeadersToRemove: removals(response),
    authority: authority(request?.set) || authority(request?.add),
  };
}

/** Both sets of operations, the second after the first. */
export function joinHeaderFields(one: HeaderFields, other: HeaderFields): HeaderFields {
  return {
    requestHeadersToAdd: [...one.requestHeadersToAdd, ...other.requestHeadersToAdd],
    requestHeadersToRemove: [...one.requestHeadersToRemove, ...other.requestHeadersToRemove],
    responseHeadersToAdd: [...one.responseHeadersToAdd, ...other.responseHeadersToAdd],
    responseHeadersToRemove: [...one.responseHeadersToRemove, ...other.responseHeadersToRemove],
    authority: one.authority || other.authority,
  };
}

function options(operations: HeaderOperations | undefined): HeaderOption[] {
  return [
    ...sorted(operations?.set, AppendAction.OVERWRITE_IF_EXISTS_OR_ADD),
    ...sorted(operations?.add, AppendAction.APPEND_IF_EXISTS_OR_ADD),
  ];
}

function sorted(headers: Record<string, string> | undefined, appendAction: AppendAction): HeaderOption[] {
  return Object.entries(headers ?? {}).filter(([key]) => !isInternal(key))
    .sort(([one], [other]) => one < other ? -1 : 1)
    .map(([key, value]) => ({ header: { key, value }, appendAction }));
}

function removals(operations: HeaderOperations | undefined): string[] {
  return (operations?.remove ?? []).filter((key) => !isInternal(key));
}

function isInternal(key: string): boolean {
  return key.startsWith(":") || key.toLowerCase() === "host";
}

function authority(headers: Record<string, string> | undefined): string {
  const found = Object.entries(headers ?? {}).find(([key]) => /^(:authority|host)$/i.test(key));
  return found?.[1] ?? "";
}
