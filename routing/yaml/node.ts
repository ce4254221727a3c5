/**
 * YAML values that know where they were written.
 *
 * Plain trees: anchors and merge keys are resolved, keys are strings, no key repeats and none is `__proto__`.
 */

/** 1-based, as editors count. */
export interface Position {
  line: number;
  column: number;
}

export interface ScalarNode {
  type: "scalar";
  value: string | number | boolean | null;
  /** As written, without quotes. */
  source: string;
  /** Quoted scalars are strings whatever they look like. */
  quoted: boolean;
  position: Position;
}

export interface ListNode {
  type: "list";
  items: YamlNode[];
  position: Position;
}

export interface MapEntry {
  key: string;
  keyPosition: Position;
  value: YamlNode;
}

export interface MapNode {
  type: "map";
  /** By key, in the order of the text. */
  entries: Map<string, MapEntry>;
  position: Position;
}

export type YamlNode = ScalarNode | ListNode | MapNode;

/** The entry of that key, where the node is a map that has it. */
export function entryOf(node: YamlNode, key: string): MapEntry | undefined {
  return node.type === "map" ? node.entries.get(key) : undefined;
}

/** True for `null`, `~` and nothing at all: a key without a value counts as not written. */
export function isNull(node: YamlNode): boolean {
  return node.type === "scalar" && node.value === null;
}

/** How a message shows what was found: short, on one line, without control characters. */
export function describe(node: YamlNode): string {
  if (node.type === "list") return node.items.length === 0 ? "an empty list" : "a list";
  if (node.type === "map") return node.entries.size === 0 ? "an empty map" : "a map";
  if (typeof node.value === "string") return quote(node.value);
  if (node.value === null) return "nothing";
  return typeof node.value === "boolean" ? `the boolean ${node.value}` : `the number ${shorten(node.source)}`;
}

/** The text in double quotes, escaped, cut after 60 characters. */
export function quote(text: string): string {
  return JSON.stringify(shorten(text));
}

function shorten(text: string): string {
  return text.length > 60 ? text.slice(0, 57) + "..." : text;
}
