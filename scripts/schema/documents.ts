/** JSON Schemas (draft 2020-12) of what users write, from the same schemas that validate it. */
import { agentSchema } from "../../agent/supervisor/agent_schema.ts";
import { type Kind, kinds } from "../../routing/istio/kinds.ts";
import { meshConfig } from "../../routing/istio/mesh_config.ts";
import { metadata } from "../../routing/istio/metadata.ts";
import type { JsonSchema } from "../../routing/yaml/schema.ts";

const draft = "https://json-schema.org/draft/2020-12/schema";

/** One schema a file: each kind's, `agent.json`, `mesh.json`, and `resource.json`, which chooses by apiVersion and kind. */
export function schemaDocuments(): Map<string, JsonSchema> {
  const documents = new Map<string, JsonSchema>();
  for (const kind of kinds) documents.set(fileOf(kind), { $schema: draft, title: kind.name, ...resourceSchema(kind) });
  documents.set("resource.json", { $schema: draft, title: "Any resource that skiff takes", ...anyResource() });
  documents.set("mesh.json", { $schema: draft, title: "mesh.yaml", ...lenient(meshConfig.json ?? {}) });
  documents.set("agent.json", { $schema: draft, title: "agent.yaml", ...lenient(agentSchema.json ?? {}) });
  return documents;
}

function fileOf(kind: Kind): string {
  return `${kind.name.replaceAll(/(?<=[a-z])(?=[A-Z])/g, "-").toLowerCase()}.json`;
}

function apiVersions({ group, versions }: Kind): string[] {
  return versions.map((version) => group === "" ? version : `${group}/${version}`);
}

function resourceSchema(kind: Kind): JsonSchema {
  return {
    type: "object",
    properties: {
      apiVersion: { enum: apiVersions(kind) },
      kind: { const: kind.name },
      metadata: lenient(metadata.json ?? {}),
      spec: lenient(kind.spec?.json ?? {}),
      status: {},
    },
    required: ["apiVersion", "kind", "metadata"],
    additionalProperties: false,
  };
}

function anyResource(): JsonSchema {
  return {
    type: "object",
    properties: { apiVersion: { type: "string" }, kind: { type: "string" } },
    required: ["apiVersion", "kind"],
    allOf: kinds.map((kind) => ({
      if: { properties: { apiVersion: { enum: apiVersions(kind) }, kind: { const: kind.name } } },
      then: { $ref: fileOf(kind) },
    })),
  };
}

/** `key:` with nothing after it counts as absent for every optional field. */
function lenient(schema: JsonSchema): JsonSchema {
  const result: Record<string, unknown> = { ...schema };
  if (schema.items !== undefined) result.items = lenient(schema.items as JsonSchema);
  if (Array.isArray(schema.anyOf)) result.anyOf = schema.anyOf.map(lenient);
  if (typeof schema.additionalProperties === "object") {
    result.additionalProperties = lenient(schema.additionalProperties as JsonSchema);
  }
  if (schema.properties !== undefined) {
    const required = new Set(schema.required as string[] ?? []);
    result.properties = Object.fromEntries(
      Object.entries(schema.properties as Record<string, JsonSchema>)
        .map(([name, property]) => [name, required.has(name) ? lenient(property) : optional(lenient(property))]),
    );
  }
  return result;
}

function optional(schema: JsonSchema): JsonSchema {
  if (typeof schema.type === "string") return { ...schema, type: [schema.type, "null"] };
  if (Array.isArray(schema.enum)) return { ...schema, enum: [...schema.enum, null] };
  if (Array.isArray(schema.anyOf)) return { ...schema, anyOf: [...schema.anyOf, { type: "null" }] };
  return schema;
}
