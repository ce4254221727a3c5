/** Telemetry, by the rules of Istio's resource definition and validator. */
import { parseExpression } from "../../expression/parse.ts";
import { atMostOne, exactlyOne, list, map, message, required } from "../../yaml/collections.ts";
import { quote } from "../../yaml/node.ts";
import { boolean, enumeration, nonEmpty, number, type Schema, string } from "../../yaml/schema.ts";
import { duration } from "../duration.ts";
import type {
  AccessLogging,
  CustomTag,
  Metrics,
  MetricsOverrides,
  TelemetrySpec,
  Tracing,
} from "../telemetry_types.ts";
import { checkTarget, targetFields } from "./security/policy_target.ts";

const mode = enumeration("CLIENT_AND_SERVER", "CLIENT", "SERVER");
const providers = list(message<{ name: string }>({ name: required(string(nonEmpty)) }));

const customTag: Schema<CustomTag> = message<CustomTag>({
  literal: message<{ value: string }>({ value: required(string(nonEmpty)) }),
  environment: message<{ name: string; defaultValue?: string }>({
    name: required(string(nonEmpty)),
    defaultValue: string(),
  }),
  header: message<{ name: string; defaultValue?: string }>({
    name: required(string(nonEmpty)),
    defaultValue: string(),
  }),
  formatter: message<{ value: string }>({ value: required(string(nonEmpty)) }),
}, (_, cursor) => exactlyOne(cursor, "literal", "environment", "header", "formatter"));

const tracing: Schema<Tracing> = message<Tracing>({
  match: message<NonNullable<Tracing["match"]>>({ mode }),
  providers,
  randomSamplingPercentage: number(0, 100),
  disableSpanReporting: boolean,
  customTags: map(customTag),
  useRequestIdForTraceSampling: boolean,
  enableIstioTags: boolean,
  disableContextPropagation: boolean,
}, ({ providers = [] }, cursor) => {
  if (providers.length > 1) cursor.at("providers").warning("names several providers: only the first counts");
});

type TagOverride = NonNullable<MetricsOverrides["tagOverrides"]>[string];

const tagOverride: Schema<TagOverride> = message<TagOverride>({
  operation: enumeration("UPSERT", "REMOVE"),
  value: string(),
}, ({ operation = "UPSERT", value }, cursor) => {
  if (operation === "REMOVE" && value) cursor.atKey("value").error("cannot stand beside operation REMOVE");
  if (operation === "UPSERT" && !value && !cursor.has("value")) cursor.at("value").error("is required with UPSERT");
  if (operation === "UPSERT" && value && literalOf(value) === undefined) {
    cursor.at("value").warning(
      `${quote(value)} is not in force in this version: want a text in quotes, such as "'eu'"`,
    );
  }
});

/** The text of a CEL expression that is a literal; `undefined` for others. */
export function literalOf(expression: string): string | undefined {
  const parsed = parseExpression(expression);
  return "unreadable" in parsed || parsed.kind !== "truth" || parsed.of.kind !== "literal"
    ? undefined
    : String(parsed.of.value);
}

const metrics: Schema<Metrics> = message<Metrics>({
  providers,
  overrides: list(message<MetricsOverrides>({
    match: message<NonNullable<MetricsOverrides["match"]>>({
      metric: enumeration(
        "ALL_METRICS",
        "REQUEST_COUNT",
        "REQUEST_DURATION",
        "REQUEST_SIZE",
        "RESPONSE_SIZE",
        "TCP_OPENED_CONNECTIONS",
        "TCP_CLOSED_CONNECTIONS",
        "TCP_SENT_BYTES",
        "TCP_RECEIVED_BYTES",
        "GRPC_REQUEST_MESSAGES",
        "GRPC_RESPONSE_MESSAGES",
      ),
      customMetric: string(nonEmpty),
      mode,
    }, (_, cursor) => atMostOne(cursor, "metric", "customMetric")),
    disabled: boolean,
    tagOverrides: map(tagOverride),
  })),
  reportingInterval: duration(),
});

const accessLogging: Schema<AccessLogging> = message<AccessLogging>({
  match: message<NonNullable<AccessLogging["match"]>>({ mode }),
  providers,
  disabled: boolean,
  filter: message<NonNullable<AccessLogging["filter"]>>({ expression: string() }, ({ expression }, cursor) => {
    if (!expression) return;
    const parsed = parseExpression(expression);
    if (!("unreadable" in parsed)) return;
    cursor.at("expression").warning(
      `is not in force in this version, everything is logged: ${parsed.unreadable} is not of the part of CEL that is read`,
    );
  }),
});

export const telemetry: Schema<TelemetrySpec> = message<TelemetrySpec>({
  ...targetFields,
  tracing: list(tracing),
  metrics: list(metrics),
  accessLogging: list(accessLogging),
}, (_, cursor) => checkTarget(cursor));
