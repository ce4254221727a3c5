/** `skiff analyze`: what is valid but wrong together, of files, of a running mesh, or of files as if applied to it. */
import { publishedHosts } from "../controlplane/registry/published_hosts.ts";
import { analyze } from "../routing/analyze/analyze.ts";
import { type Finding, formatFinding } from "../routing/analyze/finding.ts";
import { kinds } from "../routing/istio/kinds.ts";
import { locate } from "../routing/istio/locate.ts";
import { defaultMeshSettings } from "../routing/istio/mesh_config.ts";
import { Cursor, Report } from "../routing/yaml/cursor.ts";
import type { Resource } from "../routing/istio/types.ts";
import type { Service } from "../routing/mesh.ts";
import type { Command } from "./command.ts";
import { readResourceInput, type ReadResources } from "./resource_input.ts";
import { callServer, serverFlag, serverUrl } from "./server.ts";
import { counted } from "./validate.ts";

export const analyzeCommand: Command = {
  name: "analyze",
  summary: "find what is valid but wrong together",
  usage: "analyze [-f FILE|DIR …] [--server URL]",
  description:
    `Finds unknown hosts, missing subsets and gateways, rules that no request reaches, resources that contradict each
other, by the codes of Istio's analyzers:
  Error|Warning|Info [CODE] (KIND NAMESPACE/NAME FILE:LINE) field: message
With -f alone it is offline and knows no service that only agents register; with --server alone it analyzes the running
mesh; with both, the mesh as if the files were applied.
Exit codes: 0 no error, 1 errors found, 2 something unreadable.`,
  flags: [
    { name: "file", short: "f", value: "FILE|DIR", repeated: true, description: "what to analyze" },
    serverFlag,
  ],
  async run(flags) {
    const input = await readResourceInput(flags.texts("file"));
    const online = flags.has("server") || !flags.has("file");
    const running = online ? await runningMesh(serverUrl(flags)) : undefined;
    return report(input, running);
  },
};

interface RunningMesh {
  resources: Resource[];
  services: Service[];
  domain: string;
  rootNamespace: string;
}

async function runningMesh(server: URL): Promise<RunningMesh> {
  const lists = await Promise.all(
    kinds.map(({ name }) => callServer(server, `/api/v1/${name}`) as Promise<{ items: Resource[] }>),
  );
  const registry = await callServer(server, "/api/v1/registry") as Omit<RunningMesh, "resources">;
  return { resources: lists.flatMap(({ items }) => items), ...registry };
}

function report(input: ReadResources, running: RunningMesh | undefined): number {
  const { domain, rootNamespace } = running ?? defaultMeshSettings;
  const replaced = new Set(input.resources.map(keyOf));
  const resources = [
    ...(running?.resources ?? []).filter((resource) => !replaced.has(keyOf(resource))),
    ...input.resources,
  ];
  const { hosts, conflicts } = publishedHosts(resources, domain);
  const services = new Map((running?.services ?? []).map((service) => [service.hostname, service]));
  for (const [hostname, { service }] of hosts) {
    const registered = services.get(hostname);
    services.set(hostname, registered === undefined ? service : { ...service, endpoints: registered.endpoints });
  }
  const findings = analyze({ resources, services, complete: running !== undefined, domain, rootNamespace });
  const lines = [
    ...input.problems.map(({ severity, kind, namespace, name, file, line, path, message }) => {
      const [level, code, word] = severity === "error"
        ? ["Error", "IST0106", "error"]
        : ["Warning", "IST0133", "warning"];
      return `${level} [${code}] (${kind} ${namespace}/${name} ${file}:${line}) Schema validation ${word}: ` +
        (path === "" ? message : `${path}: ${message}`);
    }),
    ...conflicts.map(({ kind, namespace, name, message }) =>
      `Error [IST0106] (${kind} ${namespace}/${name}) ${message}`
    ),
    ...findings.map((found) => lineOf(found, input.texts)),
  ];
  for (const line of lines) console.log(line);
  for (const message of input.unreadable) console.error(message);
  const count = (level: string) => lines.filter((line) => line.startsWith(level)).length;
  const errors = count("Error");
  console.error(
    `${counted(resources.length, "resource")}, ${counted(errors, "error")}, ${counted(count("Warning"), "warning")}` +
      (running === undefined ? "; services that only agents register are known with --server" : ""),
  );
  if (input.unreadable.length > 0) return 2;
  return errors > 0 ? 1 : 0;
}

function lineOf(found: Finding, texts: Map<string, string>): string {
  const { origin } = found.resource;
  const text = texts.get(origin.file);
  const { line, field } = text === undefined
    ? { line: origin.line, field: pathText(found) }
    : locate(text, origin, found.path);
  return formatFinding(found, line, field);
}

function pathText({ path }: Finding): string {
  const nothing = { type: "map" as const, entries: new Map(), position: { line: 1, column: 1 } };
  return new Cursor(nothing, new Report()).at(...path).path;
}

function keyOf({ kind, metadata }: Resource): string {
  return `${kind} ${metadata.namespace}/${metadata.name}`;
}
