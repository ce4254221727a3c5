/** Reads files of resources: YAML or JSON, several documents, `List`s, in the shapes that Istio takes. */
import { Cursor, Report } from "../yaml/cursor.ts";
import { entryOf, type Position, quote, type YamlNode } from "../yaml/node.ts";
import { anything } from "../yaml/schema.ts";
import { parseYaml } from "../yaml/parse.ts";
import { nearest } from "../yaml/suggest.ts";
import { type Kind, kinds, splitApiVersion } from "./kinds.ts";
import { checkMetadata, metadata } from "./metadata.ts";
import { warnOfWhatIsNotInForce } from "./not_in_force.ts";
import { inOrderOfText, type Problem, problemOf, type Subject } from "./problem.ts";
import type { Resource } from "./types.ts";

export { formatProblem, hasErrors, type Problem } from "./problem.ts";

export interface ParsedResources {
  /** Those without an error, in the order of the text. */
  resources: Resource[];
  problems: Problem[];
}

/**
 * Reads and validates every resource of a text. Never throws, whatever the text.
 *
 * @param file Name for messages and for {@link Resource.origin}.
 */
export function parseResources(file: string, text: string): ParsedResources {
  const { documents, problems: unreadable } = parseYaml(text);
  const resources: Resource[] = [];
  const nobody: Subject = { kind: "", namespace: "", name: "" };
  const problems = unreadable.map((problem) => problemOf(file, nobody, { severity: "error", path: "", ...problem }));
  for (const node of documents) readDocument(node);
  return { resources, problems: inOrderOfText(problems) };

  function readDocument(node: YamlNode): void {
    const items = entryOf(node, "items")?.value;
    if (items?.type === "list" && scalarOf(node, "kind").endsWith("List")) {
      for (const item of items.items) readDocument(item);
      return;
    }
    const report = new Report();
    const resource = readResource(file, new Cursor(node, report));
    const subject = subjectOf(node);
    problems.push(...report.issues.map((issue) => problemOf(file, subject, issue)));
    if (resource !== undefined) resources.push(resource);
  }
}

/** `undefined` where the document is wrong or is to be skipped, with the reason reported. */
function readResource(file: string, cursor: Cursor): Resource | undefined {
  const { report } = cursor;
  if (cursor.node.type !== "map") {
    cursor.error("a resource must be a map with apiVersion, kind, metadata and spec");
    return undefined;
  }
  const apiVersion = scalarOf(cursor.node, "apiVersion");
  const kindName = scalarOf(cursor.node, "kind");
  for (const [name, value] of [["apiVersion", apiVersion], ["kind", kindName]]) {
    if (value === "") cursor.at(name).error("is required, as a string");
  }
  if (report.errors > 0) return undefined;
  const kind = findKind(apiVersion, kindName, cursor);
  if (kind === undefined) return undefined;

  const known = ["apiVersion", "kind", "metadata", "spec", "status"];
  for (const key of [...cursor.node.entries.keys()].slice(0, 256)) {
    if (known.includes(key)) continue;
    const meant = nearest(key, known);
    cursor.atKey(key).error(
      `unknown field; ${meant === undefined ? `known here: ${known.join(", ")}` : `did you mean \`${meant}\`?`}`,
    );
  }
  if (!cursor.has("metadata")) cursor.at("metadata").error("is required");
  const meta = cursor.has("metadata") ? metadata(cursor.at("metadata")) : undefined;
  const spec = readSpec(kind, cursor);
  if (meta !== undefined) checkMetadata(kind.name, meta, cursor);
  if (report.errors > 0 || meta === undefined || spec === undefined) return undefined;
  return { apiVersion, kind: kindName, metadata: meta, spec, origin: { file, ...startOf(cursor.node) } };
}

function readSpec(kind: Kind, cursor: Cursor): unknown {
  if (kind.spec === null) {
    cursor.atKey("kind").warning(`${kind.name} is accepted but not in force in this version`);
    return cursor.has("spec") ? anything(cursor.at("spec")) : {};
  }
  const spec = cursor.has("spec") ? cursor.at("spec") : emptySpec(cursor);
  const value = kind.spec(spec);
  warnOfWhatIsNotInForce(kind.name, spec);
  return value;
}

/** What a spec that is not written means: one without fields, wrong or not by the rules of its kind. */
function emptySpec(cursor: Cursor): Cursor {
  const { report, node: { position } } = cursor;
  return new Cursor({ type: "map", entries: new Map(), position }, report, "spec");
}

function findKind(apiVersion: string, name: string, cursor: Cursor): Kind | undefined {
  const { group, version } = splitApiVersion(apiVersion);
  const inGroup = kinds.filter((kind) => kind.group === group);
  const kind = inGroup.find((kind) => kind.name === name);
  if (kind !== undefined) {
    if (kind.versions.includes(version)) return kind;
    const right = kind.versions.map((version) => group === "" ? version : `${group}/${version}`).join(", ");
    cursor.at("apiVersion").error(`must be one of ${right} for ${name}, found ${quote(apiVersion)}`);
  } else if (group.endsWith("istio.io") && inGroup.length > 0) {
    const meant = nearest(name, inGroup.map((kind) => kind.name)) ?? kinds.find((kind) => kind.name === name)?.group;
    cursor.at("kind").error(
      `${group} has no kind ${quote(name)}` + (meant === undefined ? "" : `; did you mean ${meant}?`),
    );
  } else {
    cursor.atKey("kind").warning(`${quote(name)} of ${quote(apiVersion)} has no meaning here and is skipped`);
  }
  return undefined;
}

/** Whom problems are reported under, as far as the document says. */
function subjectOf(node: YamlNode): Subject {
  const meta = entryOf(node, "metadata")?.value ?? node;
  const name = meta === node ? "" : scalarOf(meta, "name");
  const namespace = meta === node ? "" : scalarOf(meta, "namespace");
  const kind = scalarOf(node, "kind");
  return { kind, name, namespace: namespace === "" && kind !== "" ? "default" : namespace };
}

function scalarOf(node: YamlNode, key: string): string {
  const value = entryOf(node, key)?.value;
  return value?.type === "scalar" && typeof value.value === "string" ? value.value.slice(0, 253) : "";
}

function startOf(node: YamlNode): Position {
  return { line: node.position.line, column: node.position.column };
}
