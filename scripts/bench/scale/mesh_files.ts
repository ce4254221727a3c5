/** The mesh of the scale benchmark, as Istio's YAML: services with endpoints of their own, and a VirtualService for each. */
import { join } from "node:path";

const endpointsPerService = 10;

/** Name of the n-th service, in namespace `default`. */
export function serviceName(n: number): string {
  return `service-${String(n).padStart(5, "0")}`;
}

/** Writes a file for each service and its VirtualService. */
export async function writeMesh(directory: string, services: number): Promise<void> {
  for (let n = 0; n < services; n++) {
    await Deno.writeTextFile(join(directory, `${serviceName(n)}.yaml`), serviceFile(n));
  }
}

/** Changes one address of one service. */
export async function moveEndpoint(directory: string, n: number, to: number): Promise<void> {
  const changed = serviceFile(n).replace(addressOf(n, 0), `10.255.${to >> 8 & 255}.${to & 255}`);
  await Deno.writeTextFile(join(directory, `${serviceName(n)}.yaml`), changed);
}

function addressOf(service: number, endpoint: number): string {
  const number = service * endpointsPerService + endpoint;
  return `10.${number >> 16 & 255}.${number >> 8 & 255}.${number & 255}`;
}

function serviceFile(n: number): string {
  const name = serviceName(n);
  const host = `${name}.default.svc.cluster.local`;
  const endpoints = Array.from(
    { length: endpointsPerService },
    (_, endpoint) =>
      `  - { address: ${addressOf(n, endpoint)}, ports: { http: 8080 }, labels: { app: ${name}, version: v${
        endpoint % 2 + 1
      }, security.istio.io/tlsMode: istio }, serviceAccount: ${name} }`,
  );
  return `apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: { name: ${name}, namespace: default }
spec:
  hosts: [${host}]
  location: MESH_INTERNAL
  resolution: STATIC
  ports: [{ name: http, number: 9080, protocol: HTTP }]
  endpoints:
${endpoints.join("\n")}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: { name: ${name}, namespace: default }
spec:
  hosts: [${host}]
  http:
  - match: [{ uri: { prefix: /v2/ }, headers: { end-user: { exact: jason } } }]
    timeout: 2s
    route: [{ destination: { host: ${host} } }]
  - retries: { attempts: 3, perTryTimeout: 1s, retryOn: 5xx }
    route: [{ destination: { host: ${host} } }]
`;
}
