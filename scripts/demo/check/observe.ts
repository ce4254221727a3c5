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
