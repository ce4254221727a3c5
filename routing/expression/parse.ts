/**
 * The part of CEL (https://github.com/google/cel-spec) in which filters of access logs are written: comparisons of Envoy's
 * attributes with literals, joined by `&&`, `||`, `!` and parentheses.
 */

/** What an attribute of a request or a connection is called, such as `response.code`. */
export type Attribute = (typeof attributes)[number];

export type Operand =
  | { kind: "literal"; value: string | number | boolean }
  | { kind: "attribute"; name: Attribute }
  /** Of the request or the response; the name in lower case. */
  | { kind: "header"; of: "request" | "response"; name: string };

export type Comparison = "==" | "!=" | "<" | "<=" | ">" | ">=";
export type TextTest = "startsWith" | "endsWith" | "contains";

export type Expression =
  | { kind: "all" | "any"; of: Expression[] }
  | { kind: "not"; of: Expression }
  | { kind: "compare"; operator: Comparison; left: Operand; right: Operand }
  | { kind: "text"; test: TextTest; of: Operand; value: string }
  | { kind: "present"; header: Operand & { kind: "header" } }
  | { kind: "truth"; of: Operand };

const attributes = [
  "request.method",
  "request.path",
  "request.url_path",
  "request.host",
  "request.protocol",
  "request.useragent",
  "request.id",
  "request.duration",
  "request.size",
  "response.code",
  "response.code_details",
  "response.flags",
  "response.size",
  "connection.mtls",
  "connection.requested_server_name",
  "connection.tls_version",
  "connection.uri_san_peer_certificate",
  "upstream.address",
  "xds.cluster_name",
  "xds.route_name",
] as const;

const known: ReadonlySet<string> = new Set(attributes);
const longest = 2048;
const deepest = 32;
const token =
  /\s+|(?<word>[A-Za-z_][A-Za-z_0-9]*)|(?<number>\d+)|(?<text>"[^"\\\n]*"|'[^'\\\n]*')|(?<sign>&&|\|\||==|!=|<=|>=|[<>!()[\].])/y;

class Unreadable extends Error {}

/** The expression, or in words what of it is not of this part of CEL. Never throws. */
export function parseExpression(text: string): Expression | { unreadable: string } {
  try {
    return new Parser(tokens(text)).whole();
  } catch (error) {
    if (error instanceof Unreadable) return { unreadable: error.message };
    throw error;
  }
}

function tokens(text: string): string[] {
  if (text.length > longest) throw new Unreadable(`more than ${longest} characters`);
  const all: string[] = [];
  token.lastIndex = 0;
  while (token.lastIndex < text.length) {
    const start = token.lastIndex;
    const match = token.exec(text);
    if (match === null) throw new Unreadable(`${JSON.stringify(text.slice(start, start + 20))}`);
    if (match[0].trim() !== "") all.push(match[0]);
  }
  return all;
}

class Parser {
  #next = 0;
  #depth = 0;

  constructor(private readonly tokens: readonly string[]) {}

  whole(): Expression {
    const expression = this.#any();
    if (this.#next < this.tokens.length) throw new Unreadable(`${JSON.stringify(this.tokens[this.#next])}`);
    return expression;
  }

  #any(): Expression {
    const of = [this.#all()];
    while (this.#take("||")) of.push(this.#all());
    return of.length === 1 ? of[0] : { kind: "any", of };
  }

  #all(): Expression {
    const of = [this.#one()];
    while (this.#take("&&")) of.push(this.#one());
    return of.length === 1 ? of[0] : { kind: "all", of };
  }

  #one(): Expression {
    if (++this.#depth > deepest) throw new Unreadable(`more than ${deepest} levels`);
    try {
      if (this.#take("!")) return { kind: "not", of: this.#one() };
      if (!this.#take("(")) return this.#comparison();
      const inner = this.#any();
      this.#expect(")");
      return inner;
    } finally {
      this.#depth--;
    }
  }

  #comparison(): Expression {
    const left = this.#operand();
    if (this.#take("in")) {
      const header = this.#headers();
      if (left.kind !== "literal" || typeof left.value !== "string") throw new Unreadable("`in` of what is no name");
      return { kind: "present", header: { ...header, name: left.value.toLowerCase() } };
    }
    for (const test of ["startsWith", "endsWith", "contains"] as const) {
      if (this.tokens[this.#next] !== "." || this.tokens[this.#next + 1] !== test) continue;
      this.#next += 2;
      this.#expect("(");
      const value = this.#operand();
      this.#expect(")");
      if (value.kind !== "literal" || typeof value.value !== "string") {
        throw new Unreadable(`${test} of what is no text`);
      }
      return { kind: "text", test, of: left, value: value.value };
    }
    for (const operator of ["==", "!=", "<=", ">=", "<", ">"] as const) {
      if (this.#take(operator)) return { kind: "compare", operator, left, right: this.#operand() };
    }
    return { kind: "truth", of: left };
  }

  #operand(): Operand {
    const first = this.tokens[this.#next++] ?? "";
    if (/^["']/.test(first)) return { kind: "literal", value: first.slice(1, -1) };
    if (/^\d/.test(first)) return { kind: "literal", value: Number(first) };
    if (first === "true" || first === "false") return { kind: "literal", value: first === "true" };
    if (first === "duration") return this.#duration();
    if ((first === "request" || first === "response") && this.tokens[this.#next + 1] === "headers") {
      this.#next--;
      const headers = this.#headers();
      this.#expect("[");
      const name = this.#operand();
      this.#expect("]");
      if (name.kind !== "literal" || typeof name.value !== "string") throw new Unreadable("a header without a name");
      return { ...headers, name: name.value.toLowerCase() };
    }
    const name = this.tokens[this.#next] === "." ? `${first}.${this.tokens[this.#next + 1] ?? ""}` : first;
    if (!known.has(name)) throw new Unreadable(name === "" ? "an end where a value should be" : JSON.stringify(name));
    this.#next += 2;
    return { kind: "attribute", name: name as Attribute };
  }

  /** `request.headers` or `response.headers`. */
  #headers(): Operand & { kind: "header" } {
    const of = this.tokens[this.#next++];
    if (of !== "request" && of !== "response") throw new Unreadable("`in` of what are no headers");
    this.#expect(".");
    this.#expect("headers");
    return { kind: "header", of, name: "" };
  }

  /** `duration("1.5s")`, in milliseconds. */
  #duration(): Operand {
    this.#expect("(");
    const text = this.tokens[this.#next++] ?? "";
    this.#expect(")");
    const match = /^["'](\d+(?:\.\d+)?)(ms|s|m|h)["']$/.exec(text);
    if (match === null) throw new Unreadable(`duration(${text})`);
    const units: Record<string, number> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 };
    return { kind: "literal", value: Number(match[1]) * units[match[2]] };
  }

  #take(text: string): boolean {
    if (this.tokens[this.#next] !== text) return false;
    this.#next++;
    return true;
  }

  #expect(text: string): void {
    if (!this.#take(text)) {
      throw new Unreadable(`${JSON.stringify(this.tokens[this.#next] ?? "its end")} in place of ${text}`);
    }
  }
}
