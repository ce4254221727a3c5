/** SPIFFE identities of the workloads behind a service. */
import type { Service } from "../mesh.ts";

/** `spiffe://TRUST-DOMAIN/ns/NAMESPACE/sa/SERVICE-ACCOUNT`. */
export function spiffeId(trustDomain: string, namespace: string, serviceAccount: string): string {
  return `spiffe://${trustDomain}/ns/${namespace}/sa/${serviceAccount}`;
}

/**
 * The identities a caller of the service accepts, sorted: those of its endpoints' service accounts and what the
 * service itself names. As in Istio they are the service's as a whole, whatever the port or subset.
 */
export function serviceIdentities(service: Service, trustDomain: string): string[] {
  const identities = new Set(service.subjectAltNames);
  for (const endpoint of service.endpoints) {
    if (endpoint.serviceAccount === "") continue;
    identities.add(spiffeId(trustDomain, endpoint.namespace, endpoint.serviceAccount));
  }
  return [...identities].sort();
}
