/** Headers of a response that the proxy adds for one request of its own accord. */
import type { HeaderMutation } from "../config/model.ts";
import { CompiledMutation } from "../route/header_mutation.ts";

type Additions = HeaderMutation["set"];

const none: Additions = [];
export const noMutation = new CompiledMutation({ set: [], remove: [] });

export class AddedHeaders {
  #additions = none;

  add(name: string, value: string, mode: "append" | "overwrite"): void {
    if (this.#additions === none) this.#additions = [];
    this.#additions.push({ name, value, mode });
  }

  /** As a change to an upstream's response. */
  mutation(): CompiledMutation {
    return this.#additions === none ? noMutation : new CompiledMutation({ set: this.#additions, remove: [] });
  }

  /** As lines of a reply of the proxy's own. */
  lines(): string {
    let lines = "";
    for (const { name, value } of this.#additions) lines += `${name}: ${value}\r\n`;
    return lines;
  }

  clear(): void {
    this.#additions = none;
  }
}
