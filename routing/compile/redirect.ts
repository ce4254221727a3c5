/** Routes that answer by themselves: redirects and direct responses. */
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import type { HTTPDirectResponse, HTTPRedirect } from "../istio/types.ts";
import {
  type DirectResponseAction,
  DirectResponseActionSchema,
  type RedirectAction,
  RedirectAction_RedirectResponseCode as Code,
  RedirectActionSchema,
} from "../xds/gen/envoy/config/route/v3/route_components_pb.ts";

const codes: ReadonlyMap<number, Code> = new Map([
  [301, Code.MOVED_PERMANENTLY],
  [302, Code.FOUND],
  [303, Code.SEE_OTHER],
  [307, Code.TEMPORARY_REDIRECT],
  [308, Code.PERMANENT_REDIRECT],
]);

/**
 * @param port of the virtual host: what FROM_REQUEST_PORT stands for
 * @returns `undefined` for a status that is no redirect Envoy knows
 */
export function redirectAction(redirect: HTTPRedirect, port: number): RedirectAction | undefined {
  const responseCode = codes.get(redirect.redirectCode ?? 301);
  if (responseCode === undefined) return undefined;
  return create(RedirectActionSchema, {
    responseCode,
    hostRedirect: redirect.authority ?? "",
    portRedirect: portRedirect(redirect, port),
    schemeRewriteSpecifier: redirect.scheme ? { case: "schemeRedirect", value: redirect.scheme } : undefined,
    pathRewriteSpecifier: pathRewrite(redirect),
  });
}

/** The answer without any upstream. */
export function directResponseAction({ status, body }: HTTPDirectResponse): DirectResponseAction {
  return create(DirectResponseActionSchema, { status, body: bodySource(body) });
}

function pathRewrite({ uri, prefixRewrite }: HTTPRedirect) {
  if (uri) return { case: "pathRedirect" as const, value: uri };
  return prefixRewrite ? { case: "prefixRewrite" as const, value: prefixRewrite } : undefined;
}

/** 0, which leaves the port as it is, also where the scheme implies the port. */
function portRedirect(redirect: HTTPRedirect, requestPort: number): number {
  const port = redirect.port ?? (redirect.derivePort === "FROM_REQUEST_PORT" ? requestPort : 0);
  return port === (redirect.scheme === "https" ? 443 : 80) ? 0 : port;
}

function bodySource(body: HTTPDirectResponse["body"]): MessageInitShape<typeof DirectResponseActionSchema>["body"] {
  if (body?.string !== undefined) return { specifier: { case: "inlineString", value: body.string } };
  if (body?.bytes === undefined) return undefined;
  return { specifier: { case: "inlineBytes", value: Uint8Array.from(atob(body.bytes), (char) => char.charCodeAt(0)) } };
}
