/** TLS and TCP routes of a VirtualService. */
import { list, message, required } from "../../yaml/collections.ts";
import { type Schema, string } from "../../yaml/schema.ts";
import type { L4MatchAttributes, TCPRoute, TLSMatchAttributes, TLSRoute } from "../types.ts";
import { routeDestinations } from "./destination.ts";
import { gateways } from "./http_match.ts";
import { addressOrSubnet, dnsLabel, labels, portNumber, wildcardHost } from "./names.ts";

const shared = {
  destinationSubnets: list(string(addressOrSubnet)),
  port: portNumber,
  sourceLabels: labels,
  gateways,
  sourceNamespace: string(dnsLabel),
};

const some = { minimum: 1 };

const tlsMatch = message<TLSMatchAttributes>({ ...shared, sniHosts: required(list(string(wildcardHost), some)) });
const tcpMatch = message<L4MatchAttributes>({ ...shared, sourceSubnet: string(addressOrSubnet) });

export const tlsRoute: Schema<TLSRoute> = message<TLSRoute>({
  match: required(list(tlsMatch, some)),
  route: required(routeDestinations),
});

export const tcpRoute: Schema<TCPRoute> = message<TCPRoute>({
  match: list(tcpMatch),
  route: required(routeDestinations),
});
