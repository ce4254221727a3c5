/**
 * Reads YAML (so JSON too), several documents to a text, from people who may be hostile.
 *
 * The library's own conversion is not used: it is quadratic in the keys of a map and in aliases, and loses positions.
 */
import {
  Composer,
  type Document,
  isAlias,
  isMap,
  isScalar,
  isSeq,
  LineCounter,
  type ParsedNode,
  Parser,
  type Scalar,
  type YAMLMap,
} from "yaml";
import type { MapEntry, Position, YamlNode } from "./node.ts";
import { quote } from "./node.ts";

export const yamlLimits = {
  /** UTF-16 units of one text. Istio's largest known configurations stay below 1 MiB, as etcd's values do. */
  characters: 4 * 1024 * 1024,
  /** Values in one text, each use of an alias counted with all that it stands for. */
  nodes: 200_000,
  depth: 64,
  /** More say nothing new about a broken file. */
  problems: 100,
} as const;

export interface YamlProblem {
  position: Position;
  message: string;
}

export interface YamlText {
  /** Documents that are not empty and have no problem. */
  documents: YamlNode[];
  problems: YamlProblem[];
}

/** Never throws: what cannot be read becomes a problem. */
export function parseYaml(text: string): YamlText {
  const start = { line: 1, column: 1 };
  if (text.length > yamlLimits.characters) {
    const message = `the file has ${text.length} characters, more than ${yamlLimits.characters}: split it`;
    return { documents: [], problems: [{ position: start, message }] };
  }
  const lines = new LineCounter();
  const documents: YamlNode[] = [];
  const problems: YamlProblem[] = [];
  const budget = { nodes: yamlLimits.nodes };
  try {
    // Our own check of repeated keys is linear, the library's is not.
    const composer = new Composer({ uniqueKeys: false, prettyErrors: false });
    for (const document of composer.compose(new Parser(lines.addNewLine).parse(text))) {
      const converter = new Converter(lines, budget);
      const node = converter.document(document as Document.Parsed);
      problems.push(...converter.problems);
      if (node !== undefined && converter.problems.length === 0) documents.push(node);
      if (problems.length >= yamlLimits.problems) break;
    }
  } catch (error) {
    // Nesting that exhausts the stack inside the library ends here.
    problems.push({ position: start, message: `cannot be read as YAML: ${(error as Error).message}` });
  }
  return { documents, problems: problems.slice(0, yamlLimits.problems) };
}

class Refused extends Error {}

class Converter {
  readonly problems: YamlProblem[] = [];
  /** What an anchor stands for, and how many values that is. */
  readonly #anchors = new Map<string, { node: YamlNode; size: number }>();

  constructor(readonly lines: LineCounter, readonly budget: { nodes: number }) {}

  /** `undefined` for an empty document and for one with problems. */
  document(document: Document.Parsed): YamlNode | undefined {
    for (const issue of [...document.errors, ...document.warnings]) this.#problem(issue.pos[0], issue.message);
    if (this.problems.length > 0 || document.contents === null) return undefined;
    if (isScalar(document.contents) && document.contents.value === null) return undefined;
    try {
      return this.#convert(document.contents, 0);
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      return undefined;
    }
  }

  #problem(offset: number, message: string): void {
    if (this.problems.length < yamlLimits.problems) this.problems.push({ position: this.#position(offset), message });
  }

  #refuse(offset: number, message: string): never {
    this.#problem(offset, message);
    throw new Refused();
  }

  #position(offset: number): Position {
    const { line, col } = this.lines.linePos(offset);
    return { line: Math.max(line, 1), column: Math.max(col, 1) };
  }

  #spend(nodes: number, offset: number): void {
    this.budget.nodes -= nodes;
    if (this.budget.nodes < 0) {
      this.#refuse(offset, `the file has more than ${yamlLimits.nodes} values, aliases resolved: split it`);
    }
  }

  #convert(node: ParsedNode, depth: number): YamlNode {
    const offset = node.range[0];
    if (depth > yamlLimits.depth) this.#refuse(offset, `nested more than ${yamlLimits.depth} levels deep`);
    if (isAlias(node)) {
      const target = this.#anchors.get(node.source);
      if (target === undefined) this.#refuse(offset, `the alias *${node.source} has no anchor before it`);
      this.#spend(target.size, offset);
      return target.node;
    }
    const before = this.budget.nodes;
    this.#spend(1, offset);
    const position = this.#position(offset);
    let converted: YamlNode;
    if (isSeq(node)) {
      const items = node.items.map((item) => this.#convert(item as ParsedNode, depth + 1));
      converted = { type: "list", items, position };
    } else if (isMap(node)) {
      converted = { type: "map", entries: this.#entries(node as YAMLMap.Parsed, depth), position };
    } else {
      converted = this.#scalar(node as Scalar.Parsed, position);
    }
    if (node.anchor !== undefined) {
      this.#anchors.set(node.anchor, { node: converted, size: before - this.budget.nodes });
    }
    return converted;
  }

  #scalar(node: Scalar.Parsed, position: Position): YamlNode {
    const { value } = node;
    const quoted = node.type !== "PLAIN";
    const source = node.source ?? String(value);
    if (typeof value === "string" && !value.isWellFormed()) {
      this.#problem(node.range[0], "has half of a surrogate pair, which is no character");
    }
    if (value === null || typeof value === "string" || typeof value === "boolean" || typeof value === "number") {
      return { type: "scalar", value, source, quoted, position };
    }
    return { type: "scalar", value: source, source, quoted, position };
  }

  #entries(map: YAMLMap.Parsed, depth: number): Map<string, MapEntry> {
    const entries = new Map<string, MapEntry>();
    const merged: MapEntry[] = [];
    for (const pair of map.items) {
      const key = this.#key(pair.key as ParsedNode | null, map.range[0]);
      const keyPosition = this.#position(pair.key?.range?.[0] ?? map.range[0]);
      const value: YamlNode = pair.value === null
        ? { type: "scalar", value: null, source: "", quoted: false, position: keyPosition }
        : this.#convert(pair.value as ParsedNode, depth + 1);
      if (key === "<<" && isScalar(pair.key) && pair.key.type === "PLAIN") {
        merged.push(...this.#merge(value, pair.key.range?.[0] ?? map.range[0]));
      } else if (entries.has(key)) {
        this.#problem(pair.key!.range![0], `the key ${quote(key)} is written twice: only one can be meant`);
      } else {
        entries.set(key, { key, keyPosition, value });
      }
    }
    for (const entry of merged) if (!entries.has(entry.key)) entries.set(entry.key, entry);
    return entries;
  }

  #merge(value: YamlNode, offset: number): MapEntry[] {
    const maps = value.type === "list" ? value.items : [value];
    const entries = maps.flatMap((node) => {
      if (node.type !== "map") this.#refuse(offset, "the merge key << takes a map or a list of maps");
      return [...node.entries.values()];
    });
    this.#spend(entries.length, offset);
    return entries;
  }

  #key(node: ParsedNode | null, mapOffset: number): string {
    if (node === null) this.#refuse(mapOffset, "a key is missing before the colon");
    const offset = node.range[0];
    if (!isScalar(node) || node.value === null) this.#refuse(offset, "a key must be a plain word or a quoted string");
    this.#spend(1, offset);
    const key = typeof node.value === "string" ? node.value : node.source ?? String(node.value);
    if (key === "__proto__") this.#refuse(offset, "the key __proto__ is not allowed");
    if (!key.isWellFormed()) this.#refuse(offset, "has half of a surrogate pair, which is no character");
    return key;
  }
}
