/** Rules of callers against policies of those they call. */
import type { Resource, VirtualService } from "../istio/types.ts";
import { type Analysis, gatewaysOf } from "./analysis.ts";
import { type Finding, finding } from "./finding.ts";

interface PeerAuthenticationSpec {
  selector?: { matchLabels?: Record<string, string> };
  mtls?: { mode?: string };
}

/** A DestinationRule that speaks plaintext to workloads that want mutual TLS, or the other way round (IST0113). */
export function mutualTls(analysis: Analysis): Finding[] {
  const policies = (analysis.of("PeerAuthentication") as Resource<string, PeerAuthenticationSpec>[])
    .filter(({ spec }) => Object.keys(spec.selector?.matchLabels ?? {}).length === 0);
  return analysis.destinationRules.flatMap((rule) => {
    const mode = rule.spec.trafficPolicy?.tls?.mode;
    const [service] = analysis.services(rule.spec.host, rule.metadata.namespace);
    if (mode === undefined || service?.location !== "MESH_INTERNAL") return [];
    const policy = [service.namespace, analysis.input.rootNamespace]
      .map((namespace) =>
        policies.find(({ metadata, spec }) => metadata.namespace === namespace && isSet(spec.mtls?.mode))
      )
      .find((found) => found !== undefined);
    const wanted = policy?.spec.mtls?.mode;
    const speaksMutualTls = mode === "ISTIO_MUTUAL";
    const conflict = (wanted === "STRICT" && !speaksMutualTls) || (wanted === "DISABLE" && speaksMutualTls);
    if (policy === undefined || !conflict) return [];
    const message = `A DestinationRule and Policy are in conflict with regards to mTLS for host ${service.hostname}. ` +
      `The DestinationRule "${rule.metadata.namespace}/${rule.metadata.name}" specifies that mTLS must be ` +
      `${speaksMutualTls} but the Policy object "${policy.metadata.namespace}/${policy.metadata.name}" specifies ${wanted}.`;
    return [finding("IST0113", rule, ["spec", "trafficPolicy", "tls", "mode"], message)];
  });
}

function isSet(mode: string | undefined): boolean {
  return mode !== undefined && mode !== "UNSET";
}

/** Routing by claims of a token that no RequestAuthentication checks (IST0149). */
export function claimRouting(analysis: Analysis): Finding[] {
  if (analysis.of("RequestAuthentication").length > 0) return [];
  return analysis.virtualServices.flatMap((virtualService) =>
    (virtualService.spec.http ?? []).flatMap(({ match = [] }, route) =>
      match.flatMap(({ headers = {}, withoutHeaders = {} }, index) =>
        Object.entries({ headers, withoutHeaders }).flatMap(([field, names]) =>
          Object.keys(names).filter((name) => name.startsWith("@request.auth.claims")).map((name) =>
            claimFinding(virtualService, ["spec", "http", route, "match", index, field, name], name)
          )
        )
      )
    )
  );
}

function claimFinding(virtualService: VirtualService, path: (string | number)[], key: string): Finding {
  const gateways = gatewaysOf(virtualService).join(",");
  const message =
    `The virtual service uses the JWT claim based routing (key: ${key}) but found no request authentication ` +
    `for the gateway (${gateways}). The request authentication must first be applied to validate the JWT token and make ` +
    "the claims available for routing.";
  return finding("IST0149", virtualService, path, message);
}
