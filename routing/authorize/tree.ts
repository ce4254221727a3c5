/** Conditions made ready to be judged: texts compiled, ranges parsed; then narrowed to what one connection leaves open. */
import { RE2JS } from "re2js";
import { canonicalHost } from "./canonical_host.ts";
import { type AddressRange, addressRange, inAddressRange } from "./address_range.ts";
import type { AddressPrefix, Condition, TextMatch } from "./condition.ts";
import type { ConnectionFacts, RequestFacts } from "./facts.ts";
import { fitsIdentity } from "./identity_pattern.ts";
import { fitsTemplate, fromEnvoyTemplate } from "./path_template.ts";

/**
 * How a request is read that says something more than once, or in more than one spelling: `every` reading must fit
 * where the rule admits, `some` reading is enough where it refuses.
 */
export type Reading = "every" | "some";

type OfConnection = (facts: ConnectionFacts) => boolean;
type OfRequest = (facts: RequestFacts, reading: Reading) => boolean;

/** A condition ready to be judged. */
export type Node =
  | { kind: "constant"; value: boolean }
  | { kind: "all" | "some"; of: readonly Node[] }
  | { kind: "not"; of: Node }
  | { kind: "connection"; holds: OfConnection }
  | { kind: "request"; holds: OfRequest };

const always: Node = { kind: "constant", value: true };
const never: Node = { kind: "constant", value: false };

/** @throws {Error} where an expression, a range or a template is none */
export function prepare(condition: Condition): Node {
  switch (condition.kind) {
    case "any":
      return always;
    case "all":
    case "some":
      return { kind: condition.kind, of: condition.of.map(prepare) };
    case "not":
      return { kind: "not", of: prepare(condition.of) };
    case "authenticated":
      return ofConnection(({ principal }) => principal !== "");
    case "principal": {
      const matches = textTest(condition.match);
      return ofConnection(({ principal }) => principal !== "" && matches(principal));
    }
    case "identity":
      return ofConnection(({ identity }) => identity !== null && fitsIdentity(condition.pattern, identity));
    case "peerAddress": {
      const range = rangeOf(condition.range);
      return ofConnection(({ peerAddress }) => inAddressRange(range, peerAddress));
    }
    case "localAddress": {
      const range = rangeOf(condition.range);
      return ofConnection(({ localAddress }) => inAddressRange(range, localAddress));
    }
    case "localPort":
      return ofConnection(({ localPort }) => localPort >= condition.first && localPort <= condition.last);
    case "serverName": {
      const matches = textTest(condition.match);
      return ofConnection(({ serverName }) => matches(serverName));
    }
    case "remoteAddress": {
      const range = rangeOf(condition.range);
      return ofRequest((facts) => inAddressRange(range, facts.remoteAddress));
    }
    case "header":
      return header(condition.name, condition.match, condition.invert);
    case "path": {
      const matches = textTest(condition.match);
      return ofRequest((facts) => matches(facts.path));
    }
    case "pathTemplate": {
      const template = fromEnvoyTemplate(condition.template);
      if (template === null) throw new Error(`${JSON.stringify(condition.template)} is no path template`);
      return ofRequest((facts) => fitsTemplate(template, facts.path));
    }
  }
}

function ofConnection(holds: OfConnection): Node {
  return { kind: "connection", holds };
}

function ofRequest(holds: OfRequest): Node {
  return { kind: "request", holds };
}

function rangeOf({ address, length }: AddressPrefix): AddressRange {
  const range = addressRange(address, length);
  if (range === null) throw new Error(`${address}/${length} is no range of addresses`);
  return range;
}

function header(name: string, match: TextMatch, invert: boolean): Node {
  const matches = textTest(match);
  const test = (value: string) => matches(value) !== invert;
  switch (name) {
    case ":method":
      return ofRequest((facts) => test(facts.method));
    case ":path":
      return ofRequest((facts) => test(facts.pathWithQuery));
    case ":scheme":
      return ofRequest((facts) => test(facts.scheme));
    case ":authority":
    case "host":
      // A rule that refuses a host must not be escaped by another spelling of it.
      return ofRequest(({ authority }, reading) =>
        test(authority) || (reading === "some" && test(canonicalHost(authority)))
      );
  }
  return ofRequest((facts, reading) => {
    const values = facts.headerValues(name);
    // As in Envoy, one that is not there meets no condition on its value, inverted or not.
    if (match.kind === "present") return (values.length > 0) !== invert;
    if (values.length === 0) return false;
    return reading === "every" ? values.every(test) : values.some(test) || test(values.join(","));
  });
}

/** A test for one text; @throws {Error} where an expression is none */
export function textTest({ kind, value, ignoreCase }: TextMatch): (text: string) => boolean {
  const wanted = ignoreCase ? asciiLower(value) : value;
  const spelling = ignoreCase ? asciiLower : (text: string) => text;
  switch (kind) {
    case "present":
      return () => true;
    case "exact":
      return (text) => spelling(text) === wanted;
    case "prefix":
      return (text) => spelling(text).startsWith(wanted);
    case "suffix":
      return (text) => spelling(text).endsWith(wanted);
    case "contains":
      return (text) => spelling(text).includes(wanted);
    case "regex": {
      const pattern = RE2JS.compile(value);
      return (text) => pattern.matches(text);
    }
  }
}

/** Unlike `toLowerCase`, which takes the Kelvin sign for a k. */
function asciiLower(text: string): string {
  return text.replaceAll(/[A-Z]/g, (letter) => String.fromCharCode(letter.charCodeAt(0) + 32));
}

/** What is left to be asked of requests once the connection is known: a constant where it settles the matter. */
export function narrow(node: Node, facts: ConnectionFacts): Node {
  switch (node.kind) {
    case "connection":
      return node.holds(facts) ? always : never;
    case "not": {
      const inner = narrow(node.of, facts);
      return inner.kind === "constant" ? (inner.value ? never : always) : { kind: "not", of: inner };
    }
    case "all":
    case "some": {
      // In `all` what is false decides, in `some` what is true; the other constant says nothing.
      const decisive = node.kind === "some";
      const left: Node[] = [];
      for (const each of node.of) {
        const inner = narrow(each, facts);
        if (inner.kind !== "constant") left.push(inner);
        else if (inner.value === decisive) return inner;
      }
      if (left.length === 0) return decisive ? never : always;
      return left.length === 1 ? left[0] : { kind: node.kind, of: left };
    }
    default:
      return node;
  }
}

/** Whether a narrowed condition holds for a request. */
export function holds(node: Node, facts: RequestFacts, reading: Reading): boolean {
  switch (node.kind) {
    case "constant":
      return node.value;
    case "not":
      return !holds(node.of, facts, reading === "every" ? "some" : "every");
    case "all":
      for (const each of node.of) if (!holds(each, facts, reading)) return false;
      return true;
    case "some":
      for (const each of node.of) if (holds(each, facts, reading)) return true;
      return false;
    case "request":
      return node.holds(facts, reading);
    case "connection":
      throw new Error("a condition must be narrowed to its connection before requests are judged by it");
  }
}
