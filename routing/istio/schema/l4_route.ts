/** TLS and TCP routes of a VirtualService. */
import { list, message, required } from "../../yaml/collections.ts";
import { refine, type Schema, string } from "../../yaml/schema.ts";
import type { L4MatchAttributes, TCPRoute, TLSMatchAttributes, TLSRoute } from "../types.ts";
import { routeDestinations } from "./destination.ts";
import { gateways } from "./http_match.ts";
import { addressOrSubnet, isAddress, isClusterName, istioLabel, labels, portNumber, wildcardHost } from "./names.ts";

const shared = {
  destinationSubnets: list(string(addressOrSubnet)),
  port: portNumber,
  sourceLabels: labels,
  gateways,
  sourceNamespace: string(istioLabel),
};

const some = { minimum: 1 };

/** A text rule: name that a client sends as SNI. */
function serverName(value: string): string | undefined {
  return isAddress(value) || isClusterName(value) ? undefined : wildcardHost(value);
}

const tlsMatch = message<TLSMatchAttributes>({ ...shared, sniHosts: required(list(string(serverName), some)) });
const tcpMatch = message<L4MatchAttributes>({ ...shared, sourceSubnet: string(addressOrSubnet) });

const someDestinations = refine(routeDestinations, (destinations, cursor) => {
  if (destinations.length === 0) cursor.error("must name at least one destination");
});

export const tlsRoute: Schema<TLSRoute> = message<TLSRoute>({
  match: required(list(tlsMatch, some)),
  route: required(someDestinations),
});

export const tcpRoute: Schema<TCPRoute> = message<TCPRoute>({
  match: list(tcpMatch),
  route: required(someDestinations),
});
