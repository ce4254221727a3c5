/** Resources that are written more than once: in Kubernetes the name would be taken, among files both stand there. */
import { type Problem, problemOf } from "./problem.ts";
import type { Resource } from "./types.ts";

/** An error at every resource whose kind, namespace and name an earlier one has. */
export function findDuplicates(resources: Resource[]): Problem[] {
  const first = new Map<string, Resource>();
  const problems: Problem[] = [];
  for (const resource of resources) {
    const { kind, metadata: { namespace, name }, origin } = resource;
    const group = resource.apiVersion.split("/").slice(0, -1).join("/");
    const key = [group, kind, namespace, name].join(" ");
    const earlier = first.get(key);
    if (earlier === undefined) {
      first.set(key, resource);
      continue;
    }
    const message = `is defined already in ${earlier.origin.file}:${earlier.origin.line}: remove or rename one`;
    const { file, ...position } = origin;
    problems.push(problemOf(file, { kind, namespace, name }, { severity: "error", position, path: "", message }));
  }
  return problems;
}
