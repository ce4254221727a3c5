/** Istio's ReadinessProbe: of a WorkloadGroup, and of a workload in agent.yaml. */
import { exactlyOne, list, message, required } from "../../yaml/collections.ts";
import { enumeration, integer, nonEmpty, type Schema, string } from "../../yaml/schema.ts";
import { hostName, isAddress, portNumber } from "./names.ts";

/** As users write it; times are seconds. */
export interface ReadinessProbe {
  initialDelaySeconds?: number;
  timeoutSeconds?: number;
  periodSeconds?: number;
  successThreshold?: number;
  failureThreshold?: number;
  httpGet?: {
    path?: string;
    port: number;
    host?: string;
    scheme?: "" | "HTTP" | "HTTPS";
    httpHeaders?: { name: string; value?: string }[];
  };
  tcpSocket?: { host?: string; port: number };
  exec?: { command: string[] };
  grpc?: { port: number; service?: string };
}

/** A text rule: host to probe. */
function probeHost(value: string): string | undefined {
  return isAddress(value) ? undefined : hostName(value);
}

const seconds = integer(0, 86_400);

export const readinessProbe: Schema<ReadinessProbe> = message<ReadinessProbe>({
  initialDelaySeconds: seconds,
  timeoutSeconds: seconds,
  periodSeconds: seconds,
  successThreshold: integer(0, 1000),
  failureThreshold: integer(0, 1000),
  httpGet: message<NonNullable<ReadinessProbe["httpGet"]>>({
    path: string(),
    port: required(portNumber),
    host: string(probeHost),
    scheme: enumeration("", "HTTP", "HTTPS"),
    httpHeaders: list(message<{ name: string; value?: string }>({
      name: required(string((name) => /^[-_A-Za-z0-9]+$/.test(name) ? undefined : "be a header name")),
      value: string(),
    })),
  }),
  tcpSocket: message<NonNullable<ReadinessProbe["tcpSocket"]>>({ host: string(probeHost), port: required(portNumber) }),
  exec: message<NonNullable<ReadinessProbe["exec"]>>({
    command: required(list(string(nonEmpty), { minimum: 1 })),
  }),
  grpc: message<NonNullable<ReadinessProbe["grpc"]>>({ port: required(portNumber), service: string() }),
}, (_, cursor) => exactlyOne(cursor, "httpGet", "tcpSocket", "exec", "grpc"));
