/**
 * Path templates of AuthorizationPolicy and of Envoy's URI template matcher: a segment `{*}` stands for one segment,
 * `{**}` for any number of them, as the last operator.
 */

export interface PathTemplate {
  /** Segments before `{**}` or up to the end, `null` for `{*}`. */
  segments: readonly (string | null)[];
  /** What follows `{**}`, literally; `null`: the template has none. */
  rest: string | null;
}

/** Reads `/users/{*}/files/{**}`; `null` where the text is no template by Istio's rules. */
export function parsePathTemplate(text: string): PathTemplate | null {
  if (!text.startsWith("/")) return null;
  const parts = text.slice(1).split("/");
  const segments: (string | null)[] = [];
  for (const [index, part] of parts.entries()) {
    if (part === "{**}") {
      const after = parts.slice(index + 1);
      return after.some((each) => /[{}*]/.test(each))
        ? null
        : { segments, rest: after.map((each) => `/${each}`).join("") };
    }
    if (part === "{*}") segments.push(null);
    else if (/[{}*]/.test(part)) return null;
    else segments.push(part);
  }
  return { segments, rest: null };
}

/** The same in the spelling of Envoy's `envoy.path.match.uri_template`. */
export function envoyTemplate(text: string): string {
  return text.replaceAll("{**}", "**").replaceAll("{*}", "*");
}

/** The inverse of {@link envoyTemplate}; what Envoy's language has beyond it is no template here. */
export function fromEnvoyTemplate(text: string): PathTemplate | null {
  return /[{}]/.test(text) ? null : parsePathTemplate(text.replaceAll(/(?<=\/)(\*\*?)(?=\/|$)/g, "{$1}"));
}

/** Whether a canonical path, without its query, fits the template. */
export function fitsTemplate(template: PathTemplate, path: string): boolean {
  let position = 0;
  for (const segment of template.segments) {
    if (path.charCodeAt(position) !== 47) return false;
    const next = path.indexOf("/", position + 1);
    const end = next < 0 ? path.length : next;
    const found = path.slice(position + 1, end);
    if (segment === null ? found === "" : found !== segment) return false;
    position = end;
  }
  if (template.rest === null) return position === path.length;
  // The slash before {**} is there even where nothing follows.
  return path.charCodeAt(position) === 47 && path.length - position - 1 >= template.rest.length &&
    path.endsWith(template.rest);
}
