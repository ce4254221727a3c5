/** Header changes of a route, compiled: what to drop from a received head and what to append when it is written. */
import type { HeaderFormatPart, HeaderMutation } from "../config/model.ts";
import { ascii, latin1 } from "../decode/characters.ts";
import type { Fields } from "../decode/head.ts";
import { type FormatContext, formatHeader } from "./header_format.ts";
import type { ByteQueue } from "../worker/buffers.ts";

interface Addition {
  name: Uint8Array;
  /** `name: value\r\n` */
  line: Uint8Array;
  mode: "append" | "overwrite" | "addIfAbsent";
  /** What the value is made of for each request; then {@link line} does not count. */
  format: readonly HeaderFormatPart[] | null;
}

export class CompiledMutation {
  readonly #removals: Uint8Array[];
  readonly #additions: Addition[] = [];
  /** Whether values must be made for each request: see {@link resolve}. */
  dynamic = false;
  /** What `host` or `:authority` is set to, or `null`. */
  readonly authority: Uint8Array | null;

  constructor(mutation: HeaderMutation, authority: Uint8Array | null = null) {
    this.#removals = mutation.remove.map((name) => ascii(name.toLowerCase()));
    this.authority = authority;
    for (const { name, value, mode, format = null } of mutation.set) {
      if (format !== null) this.dynamic = true;
      const lower = name.toLowerCase();
      if (lower === "host" || lower === ":authority") this.authority = ascii(value);
      else this.#additions.push({ name: ascii(lower), line: ascii(`${lower}: ${value}\r\n`), mode, format });
    }
  }

  /** This one with a header more. */
  adding(name: string, value: string): CompiledMutation {
    const more = new CompiledMutation({ set: [{ name, value, mode: "append" }], remove: [] }, this.authority);
    more.#removals.push(...this.#removals);
    more.#additions.unshift(...this.#additions);
    more.dynamic = this.dynamic;
    return more;
  }

  /** Names of the request's headers that values are made of. */
  get requestNames(): string[] {
    const parts = this.#additions.flatMap(({ format }) => format ?? []);
    return parts.flatMap((part) => typeof part !== "string" && part.operator === "REQ" ? part.names : []);
  }

  /** This one with the values of one request; what has none is not added. */
  resolve(context: FormatContext): CompiledMutation {
    const resolved = new CompiledMutation({ set: [], remove: [] }, this.authority);
    resolved.#removals.push(...this.#removals);
    for (const addition of this.#additions) {
      if (addition.format === null) {
        resolved.#additions.push(addition);
        continue;
      }
      const value = formatHeader(addition.format, context);
      if (value === "") continue;
      const line = `${latin1(addition.name, 0, addition.name.length)}: ${value}\r\n`;
      const bytes = Uint8Array.from(line, (character) => character.charCodeAt(0));
      resolved.#additions.push({ ...addition, line: bytes, format: null });
    }
    return resolved;
  }

  /** What is added, as text, for an answer of the proxy's own. Only once {@link resolve}d where it is dynamic. */
  get lines(): string {
    return this.#additions.map(({ line }) => latin1(line, 0, line.length)).join("");
  }

  get empty(): boolean {
    return this.#removals.length === 0 && this.#additions.length === 0;
  }

  /** Marks what is removed or overwritten. Removals go first, as in Envoy. */
  drop(fields: Fields): void {
    for (const name of this.#removals) fields.dropNamed(name);
    for (const { name, mode } of this.#additions) {
      if (mode === "overwrite") fields.dropNamed(name);
    }
  }

  /** Writes what is added, in order. */
  append(fields: Fields, out: ByteQueue): void {
    for (const { name, line, mode } of this.#additions) {
      if (mode === "addIfAbsent") {
        const index = fields.find(name);
        if (index >= 0 && fields.dropped[index] === 0) continue;
      }
      out.appendAll(line);
    }
  }
}
