/** Kubernetes' object metadata. */
import { map, object, required } from "../yaml/collections.ts";
import type { Cursor } from "../yaml/cursor.ts";
import { quote } from "../yaml/node.ts";
import { type Schema, schema, string, text } from "../yaml/schema.ts";
import { dnsLabel, dnsSubdomain, labelKey, labels } from "./schema/names.ts";
import type { Metadata } from "./types.ts";

interface WrittenMetadata {
  name: string;
  namespace?: string;
  labels?: Record<string, string>;
  annotations?: Record<string, string>;
  creationTimestamp?: string;
}

/** What Kubernetes adds to objects that were read back from it. */
const unread = [
  "deletionGracePeriodSeconds",
  "deletionTimestamp",
  "finalizers",
  "generateName",
  "generation",
  "managedFields",
  "ownerReferences",
  "resourceVersion",
  "selfLink",
  "uid",
];

/** A text rule: RFC 3339 time. */
function time(value: string): string | undefined {
  const good = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)$/.test(value) &&
    !Number.isNaN(Date.parse(value));
  return good ? undefined : "be a time such as 2026-01-31T12:00:00Z";
}

const written = object<WrittenMetadata>({
  name: required(string(dnsSubdomain)),
  namespace: string(dnsLabel),
  labels,
  annotations: map(text(), labelKey),
  creationTimestamp: string(time),
}, { unread });

/** With `default` for the namespace where none is written, and no labels or annotations where there are none. */
export const metadata: Schema<Metadata> = schema(written.json, (cursor) => {
  const value = written(cursor);
  return value && { namespace: "default", labels: {}, annotations: {}, ...value };
});

const DRY_RUN = "istio.io/dry-run";

/** What Istio demands of the metadata of single kinds. */
export function checkMetadata(kind: string, { name, annotations }: Metadata, resource: Cursor): void {
  const at = resource.at("metadata");
  if (kind === "Gateway" && name.includes(".")) {
    at.at("name").error(`must be without dots for a Gateway, found ${quote(name)}`);
  }
  const dryRun = annotations[DRY_RUN];
  if (dryRun === undefined) return;
  const place = at.at("annotations", DRY_RUN);
  if (kind !== "AuthorizationPolicy") {
    place.error("is for AuthorizationPolicy only: remove it");
  } else if (!/^(1|t|T|TRUE|true|True|0|f|F|FALSE|false|False)$/.test(dryRun)) {
    place.error(`must be "true" or "false", found ${quote(dryRun)}`);
  } else if (actsOtherwise(resource.at("spec", "action"))) {
    place.error("is for actions ALLOW and DENY only");
  }
}

function actsOtherwise({ node }: Cursor): boolean {
  return node.type === "scalar" && (node.value === "AUDIT" || node.value === "CUSTOM");
}
