/**
 * Matchers compiled from configuration to work on received bytes. Only regular expressions make a string, and they run
 * on a linear-time engine (RE2): paths and headers come from attackers.
 */
import { RE2JS } from "re2js";
import type { NamedMatcher, RouteMatchConfig, StringMatcher } from "../config/model.ts";
import { ascii, latin1, sameBytes } from "../decode/characters.ts";
import type { RequestHead } from "../decode/head.ts";

/** Whether the bytes from `start` to `end` match. */
export type ByteMatcher = (bytes: Uint8Array, start: number, end: number) => boolean;

export function compileMatcher(matcher: StringMatcher): ByteMatcher {
  if (matcher.kind === "present") return () => true;
  if (matcher.kind === "regex") {
    const pattern = RE2JS.compile(matcher.value);
    return (bytes, start, end) => pattern.matches(latin1(bytes, start, end));
  }
  const value = ascii(matcher.ignoreCase ? matcher.value.toLowerCase() : matcher.value);
  const same = matcher.ignoreCase ? sameBytesIgnoringCase : sameBytes;
  switch (matcher.kind) {
    case "exact":
      return (bytes, start, end) => end - start === value.length && same(bytes, start, value.length, value);
    case "prefix":
      return (bytes, start, end) => end - start >= value.length && same(bytes, start, value.length, value);
    case "suffix":
      return (bytes, start, end) => end - start >= value.length && same(bytes, end - value.length, value.length, value);
    case "contains":
      return (bytes, start, end) => {
        for (let i = start; i + value.length <= end; i++) {
          if (same(bytes, i, value.length, value)) return true;
        }
        return false;
      };
  }
}

/** `expected` is lower case; only ASCII letters fold. */
function sameBytesIgnoringCase(bytes: Uint8Array, offset: number, size: number, expected: Uint8Array): boolean {
  for (let i = 0; i < size; i++) {
    const byte = bytes[offset + i];
    if ((byte >= 65 && byte <= 90 ? byte | 32 : byte) !== expected[i]) return false;
  }
  return true;
}

/** A condition on the whole request head. */
export type HeadMatcher = (head: RequestHead) => boolean;

/**
 * Path, headers and query parameters of a route's match, cheapest first; an empty list matches everything. Percentages
 * are the caller's.
 */
export function compileRouteMatch(match: RouteMatchConfig): HeadMatcher[] {
  const matchers: HeadMatcher[] = [];
  const path = compilePath(match.path);
  if (path !== null) matchers.push(path);
  for (const header of match.headers) matchers.push(compileHeader(header));
  for (const parameter of match.queryParameters) matchers.push(compileQueryParameter(parameter));
  return matchers;
}

function compilePath(path: RouteMatchConfig["path"]): HeadMatcher | null {
  if (path.kind === "prefix" && path.value === "/") {
    // Every request but CONNECT and `OPTIONS *` has it.
    return (head) => head.fields.bytes[head.pathStart] === 47 && head.pathEnd > head.pathStart;
  }
  if (path.kind === "pathSeparatedPrefix") {
    const prefix = compileMatcher({ kind: "prefix", value: path.value, ignoreCase: path.ignoreCase });
    return (head) => {
      const end = head.pathStart + path.value.length;
      return prefix(head.fields.bytes, head.pathStart, head.queryStart) &&
        (end === head.queryStart || head.fields.bytes[end] === 47);
    };
  }
  const matcher = compileMatcher({ ...path, kind: path.kind });
  return (head) => matcher(head.fields.bytes, head.pathStart, head.queryStart);
}

function compileHeader({ name, matcher, invert }: NamedMatcher): HeadMatcher {
  const value = compileMatcher(matcher);
  if (name === ":method") {
    return (head) => value(head.fields.bytes, head.methodStart, head.methodEnd) !== invert;
  }
  if (name === ":authority" || name === "host") {
    return (head) => value(head.fields.bytes, head.authorityStart, head.authorityEnd) !== invert;
  }
  if (name === ":path") return (head) => value(head.fields.bytes, head.pathStart, head.pathEnd) !== invert;
  if (name === ":scheme") {
    const http = ascii("http");
    const https = ascii("https");
    const ofHttp = value(http, 0, http.length) !== invert;
    const ofHttps = value(https, 0, https.length) !== invert;
    return (head) => head.secure ? ofHttps : ofHttp;
  }
  const nameBytes = ascii(name.toLowerCase());
  return ({ fields }) => {
    const index = fields.find(nameBytes);
    if (index < 0) return invert;
    // Of a repeated header one value is enough, as in Envoy since 1.39.
    for (let i = index; i >= 0; i = fields.find(nameBytes, i + 1)) {
      if (value(fields.bytes, fields.valueStart(i), fields.valueEnd(i))) return !invert;
    }
    return invert;
  };
}

function compileQueryParameter({ name, matcher, invert }: NamedMatcher): HeadMatcher {
  const value = compileMatcher(matcher);
  const nameBytes = ascii(name);
  return (head) => {
    const bytes = head.fields.bytes;
    let start = head.queryStart + 1;
    while (start <= head.pathEnd && head.queryStart < head.pathEnd) {
      let end = start;
      while (end < head.pathEnd && bytes[end] !== 38 /* & */) end++;
      let equals = start;
      while (equals < end && bytes[equals] !== 61 /* = */) equals++;
      if (sameBytes(bytes, start, equals - start, nameBytes)) {
        return value(bytes, Math.min(equals + 1, end), end) !== invert;
      }
      start = end + 1;
    }
    return invert;
  };
}
