/** A place in a YAML tree, with its field path, where problems are reported. */
import { entryOf, isNull, type MapEntry, type Position, type YamlNode } from "./node.ts";

export type Severity = "error" | "warning";

export interface Issue {
  severity: Severity;
  position: Position;
  /** `spec.http[0].route[1].destination.host`; empty for the document itself. */
  path: string;
  message: string;
}

/** Collects the issues of one document: all of them, up to a number beyond which they say nothing new. */
export class Report {
  static readonly limit = 100;
  readonly issues: Issue[] = [];
  /** Of all errors, those beyond the limit included. */
  errors = 0;

  add(issue: Issue): void {
    if (issue.severity === "error") this.errors++;
    if (!this.full) this.issues.push(issue);
  }

  /** True when further issues are only counted: finding good words for them would be wasted work. */
  get full(): boolean {
    return this.issues.length >= Report.limit;
  }
}

export type Segment = string | number;

export class Cursor {
  constructor(
    readonly node: YamlNode,
    readonly report: Report,
    readonly path = "",
    /** Where to point; differs from the node's own where the node is missing. */
    readonly position: Position = node.position,
  ) {}

  error(message: string): void {
    this.report.add({ severity: "error", position: this.position, path: this.path, message });
  }

  warning(message: string): void {
    this.report.add({ severity: "warning", position: this.position, path: this.path, message });
  }

  /** The entry written under this field's name, or under its snake_case spelling. */
  entry(name: string): MapEntry | undefined {
    const exact = entryOf(this.node, name);
    if (exact !== undefined || this.node.type !== "map") return exact;
    for (const entry of this.node.entries.values()) {
      if (entry.key.includes("_") && camelCase(entry.key) === name) return entry;
    }
    return undefined;
  }

  /** Whether the field is written, with more than nothing. */
  has(name: string): boolean {
    const entry = this.entry(name);
    return entry !== undefined && !isNull(entry.value);
  }

  /** Descends; where the tree ends early, the path goes on and the position stays at the last node there is. */
  at(...segments: Segment[]): Cursor {
    return segments.reduce<Cursor>((cursor, segment) => cursor.#child(segment), this);
  }

  /** Like {@link at}, but points at the key, not at its value. */
  atKey(name: string): Cursor {
    const child = this.at(name);
    return new Cursor(child.node, this.report, child.path, this.entry(name)?.keyPosition ?? child.position);
  }

  /** One cursor per item of a list; none where this is no list. */
  items(): Cursor[] {
    return this.node.type === "list" ? this.node.items.map((_, index) => this.at(index)) : [];
  }

  #child(segment: Segment): Cursor {
    const path = join(this.path, segment);
    const node = typeof segment === "number"
      ? (this.node.type === "list" ? this.node.items[segment] : undefined)
      : this.entry(segment)?.value;
    return new Cursor(node ?? missing, this.report, path, node?.position ?? this.position);
  }
}

const missing: YamlNode = {
  type: "scalar",
  value: null,
  source: "",
  quoted: false,
  position: { line: 1, column: 1 },
};

/** `perTryTimeout` for `per_try_timeout`: the JSON name that protobuf gives a field. */
export function camelCase(key: string): string {
  return key.replaceAll(/_([a-z0-9])/g, (_, letter: string) => letter.toUpperCase());
}

/** The path one step further down. Names that would read ambiguously are put in brackets and quotes. */
export function join(path: string, segment: Segment): string {
  if (typeof segment === "number") return `${path}[${segment}]`;
  if (!/^[A-Za-z0-9_-]{1,128}$/.test(segment)) return `${path}[${JSON.stringify(segment.slice(0, 128))}]`;
  return path === "" ? segment : `${path}.${segment}`;
}
