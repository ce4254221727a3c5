/** What agents and control plane say of themselves, on the ports for operators. */
import type { BookinfoMesh } from "../bookinfo_mesh.ts";

async function text(url: string): Promise<string> {
  const response = await fetch(url);
  const body = await response.text();
  if (!response.ok) throw new Error(`${url} answers ${response.status}: ${body.slice(0, 200)}`);
  return body;
}

/** Lines of one metric, of all agents. */
export async function metricLines(bookinfo: BookinfoMesh, metric: string): Promise<string[]> {
  const pages = await Promise.all(
    bookinfo.machines.map(({ address }) => text(`http://${address}:15020/stats/prometheus`)),
  );
  return pages.flatMap((page) => page.split("\n")).filter((line) => line.startsWith(`${metric}{`));
}

/** Lines of one agent's `/clusters` that match. */
export async function clusterLines(bookinfo: BookinfoMesh, machine: string, pattern: RegExp): Promise<string[]> {
  const page = await text(`http://${bookinfo.machine(machine).address}:15000/clusters`);
  return page.split("\n").filter((line) => pattern.test(line));
}

export interface ObservedCertificate {
  serial: string;
  expires: Date;
}

/** The certificate in use of every identity on every machine, by `MACHINE URI`, from the agents' `/certs`. */
export async function certificates(bookinfo: BookinfoMesh): Promise<Map<string, ObservedCertificate>> {
  const seen = new Map<string, ObservedCertificate>();
  for (const { name, address } of bookinfo.machines) {
    const page: { certificates: { cert_chain: EnvoyCertificate[] }[] } = JSON.parse(
      await text(`http://${address}:15000/certs`),
    );
    for (const { cert_chain: [leaf] } of page.certificates) {
      const key = `${name} ${leaf.subject_alt_names[0].uri}`;
      seen.set(key, { serial: leaf.serial_number, expires: new Date(leaf.expiration_time) });
    }
  }
  return seen;
}

/** What is read here of Envoy's `/certs`. */
interface EnvoyCertificate {
  serial_number: string;
  subject_alt_names: { uri: string }[];
  expiration_time: string;
}

/** How many proxies are connected to the control plane. */
export async function connectedProxies(bookinfo: BookinfoMesh): Promise<number> {
  const proxies: { connected: boolean }[] = JSON.parse(await text(`${bookinfo.mesh.api}/api/v1/proxies`));
  return proxies.filter(({ connected }) => connected).length;
}
