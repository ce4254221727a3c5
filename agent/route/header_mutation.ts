/** Header changes of a route, compiled: what to drop from a received head and what to append when it is written. */
import type { HeaderMutation } from "../config/model.ts";
import { ascii } from "../decode/characters.ts";
import type { Fields } from "../decode/head.ts";
import type { ByteQueue } from "../worker/buffers.ts";

interface Addition {
  name: Uint8Array;
  /** `name: value\r\n` */
  line: Uint8Array;
  mode: "append" | "overwrite" | "addIfAbsent";
}

export class CompiledMutation {
  readonly #removals: Uint8Array[];
  readonly #additions: Addition[] = [];
  /** What `host` or `:authority` is set to, or `null`. */
  readonly authority: Uint8Array | null;

  constructor(mutation: HeaderMutation, authority: Uint8Array | null = null) {
    this.#removals = mutation.remove.map((name) => ascii(name.toLowerCase()));
    this.authority = authority;
    for (const { name, value, mode } of mutation.set) {
      const lower = name.toLowerCase();
      if (lower === "host" || lower === ":authority") this.authority = ascii(value);
      else this.#additions.push({ name: ascii(lower), line: ascii(`${lower}: ${value}\r\n`), mode });
    }
  }

  /** This one with a header more. */
  adding(name: string, value: string): CompiledMutation {
    const more = new CompiledMutation({ set: [{ name, value, mode: "append" }], remove: [] }, this.authority);
    more.#removals.push(...this.#removals);
    more.#additions.unshift(...this.#additions);
    return more;
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
