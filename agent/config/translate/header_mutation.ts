/** Header additions and removals of several levels as one list that gives the same result. */
import {
  type HeaderValueOption,
  HeaderValueOption_HeaderAppendAction as AppendAction,
} from "../../../routing/xds/gen/envoy/config/core/v3/base_pb.ts";
import { headerOperators } from "../../route/header_format.ts";
import type { HeaderFormatPart, HeaderMutation } from "../model.ts";
import type { Place } from "./unsupported.ts";

/** What routes, virtual hosts, route configurations and weighted clusters have in common. */
export interface HeaderFields {
  requestHeadersToAdd: HeaderValueOption[];
  requestHeadersToRemove: string[];
  responseHeadersToAdd: HeaderValueOption[];
  responseHeadersToRemove: string[];
}

/** The mutations of one level. */
export interface HeaderLevel {
  request: HeaderMutation;
  response: HeaderMutation;
}

const token = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/;

/** Headers to add, without what is to be removed. */
export function headerAdditions(options: HeaderValueOption[], place: Place): HeaderMutation["set"] {
  return options.flatMap((option, index) => addition(option, place.item(index)));
}

export function headerLevel(fields: HeaderFields, place: Place): HeaderLevel {
  const mutation = (add: HeaderValueOption[], remove: string[], direction: "request" | "response") => ({
    set: add.flatMap((option, index) => addition(option, place.field(`${direction}_headers_to_add`).item(index))),
    remove: remove.map((name, index) => headerName(name, place.field(`${direction}_headers_to_remove`).item(index))),
  });
  return {
    request: mutation(fields.requestHeadersToAdd, fields.requestHeadersToRemove, "request"),
    response: mutation(fields.responseHeadersToAdd, fields.responseHeadersToRemove, "response"),
  };
}

/**
 * One mutation that does what Envoy does by applying several in turn. Each level removes first, then overwrites, then
 * adds; so a later level may take back what an earlier one added.
 */
export function joinMutations(levels: readonly HeaderMutation[]): HeaderMutation {
  const remove = new Set<string>();
  let set: HeaderMutation["set"] = [];
  for (const level of levels) {
    for (const name of level.remove) {
      remove.add(name);
      set = set.filter((entry) => entry.name !== name);
    }
    for (const entry of level.set) {
      if (entry.mode !== "overwrite") continue;
      set = set.filter(({ name }) => name !== entry.name);
      set.push(entry);
    }
    for (const entry of level.set) {
      if (entry.mode === "overwrite") continue;
      if (entry.mode === "addIfAbsent" && set.some(({ name }) => name === entry.name)) continue;
      // What has just been removed is absent.
      set.push(remove.has(entry.name) ? { ...entry, mode: "append" } : entry);
    }
  }
  return { set, remove: [...remove] };
}

export function isEmpty({ set, remove }: HeaderMutation): boolean {
  return set.length === 0 && remove.length === 0;
}

/** None where the value is empty: Envoy adds empty headers only when told to keep them. */
function addition(option: HeaderValueOption, place: Place): HeaderMutation["set"] {
  const { key = "", value: text = "", rawValue = new Uint8Array() } = option.header ?? {};
  const at = place.field("header");
  at.field("raw_value").require(rawValue.length === 0, "is not implemented");
  const entry = {
    name: headerName(key, at.field("key")),
    ...headerValue(text, at.field("value")),
    mode: mode(option, place),
  };
  return entry.value === "" && entry.format === undefined && !option.keepEmptyValue ? [] : [entry];
}

function headerName(name: string, place: Place): string {
  place.require(token.test(name), `want a header name, found ${JSON.stringify(name)}`);
  const lower = name.toLowerCase();
  place.require(lower !== "host", "host is changed by host_rewrite_literal only");
  return lower;
}

const operator = /%%|%([A-Z0-9_]+)(?:\(([^()%]*)\))?(?::(\d+))?%/g;

/** Command operators stand between percent signs; two percent signs are one. */
function headerValue(value: string, place: Place): Pick<HeaderMutation["set"][number], "value" | "format"> {
  // deno-lint-ignore no-control-regex -- these bytes would end the header
  place.require(!/[\x00-\x08\x0a-\x1f\x7f]/.test(value), "want no control characters");
  const parts: HeaderFormatPart[] = [];
  let text = "";
  let end = 0;
  const literal = (piece: string) => {
    place.require(!piece.includes("%"), `${JSON.stringify(piece)} is no command operator`);
    text += piece;
  };
  for (const match of value.matchAll(operator)) {
    const [whole, name, argument, limit] = match;
    literal(value.slice(end, match.index));
    end = match.index + whole.length;
    if (whole === "%%") text += "%";
    else {
      if (text !== "") parts.push(text);
      text = "";
      parts.push(commandOperator(name, argument, limit, place));
    }
  }
  literal(value.slice(end));
  if (parts.length === 0) return { value: text };
  return { value: "", format: text === "" ? parts : [...parts, text] };
}

/** @throws {UnsupportedConfigurationError} for an operator that is not implemented for headers */
function commandOperator(name: string, argument: string | undefined, limit: string | undefined, place: Place) {
  const header = name === "REQ" || name === "RESP";
  place.require(header || headerOperators.has(name), `the command operator ${name} is not implemented`);
  const names = header ? (argument ?? "").toLowerCase().split("?") : [];
  if (header) {
    const valid = names.length <= 2 && names.every((each) => /^:?[a-z0-9!#$%&'*+.^_`|~-]+$/.test(each));
    place.require(valid, `want ${name}(header) or ${name}(header?other)`);
  } else place.require(argument === undefined, `an argument of ${name} is not implemented`);
  return { operator: name, names, limit: limit === undefined ? null : Number(limit) };
}

function mode(option: HeaderValueOption, place: Place): HeaderMutation["set"][number]["mode"] {
  switch (option.appendAction) {
    case AppendAction.APPEND_IF_EXISTS_OR_ADD:
      return option.append === false ? "overwrite" : "append";
    case AppendAction.ADD_IF_ABSENT:
      return "addIfAbsent";
    case AppendAction.OVERWRITE_IF_EXISTS_OR_ADD:
      return "overwrite";
    default:
      return place.field("append_action").refuse(
        `${AppendAction[option.appendAction] ?? option.appendAction} is not implemented`,
      );
  }
}
