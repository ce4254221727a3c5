/** Where a field of a resource stands in the text that it was read from. */
import { Cursor, Report, type Segment } from "../yaml/cursor.ts";
import { entryOf, type Position, type YamlNode } from "../yaml/node.ts";
import { parseYaml } from "../yaml/parse.ts";
import type { Origin } from "./types.ts";

/** The line of the field, or of what comes closest above it, and its path as messages write it. */
export function locate(text: string, origin: Origin, path: Segment[]): { line: number; field: string } {
  const document = parseYaml(text).documents.flatMap(itemsOf).find((node) => startsAt(node, origin));
  const root = document ?? { type: "map", entries: new Map(), position: origin };
  const cursor = new Cursor(root, new Report()).at(...path);
  return { line: cursor.position.line, field: cursor.path };
}

/** The resources of a document: its own, or those of a `List`. */
function itemsOf(node: YamlNode): YamlNode[] {
  const items = entryOf(node, "items")?.value;
  return items?.type === "list" ? items.items.flatMap(itemsOf) : [node];
}

function startsAt({ position }: YamlNode, origin: Position): boolean {
  return position.line === origin.line && position.column === origin.column;
}
