/** What only compilation can see: a reference that leads nowhere, a setting that no proxy of this mesh carries out. */

/** A resource that is valid by itself but does not do all that it says. Traffic it names is answered with 503. */
export interface CompileWarning {
  kind:
    | "VirtualService"
    | "DestinationRule"
    | "Gateway"
    | "Service"
    | "ServiceEntry"
    | "Sidecar"
    | "Telemetry"
    | "Workload"
    | "AuthorizationPolicy"
    | "RequestAuthentication";
  namespace: string;
  name: string;
  /** Path of the field, such as `http[0].route[1].destination.host`; empty: the whole resource. */
  field: string;
  message: string;
}

/** Takes one warning; the same one may be given several times. */
export type Warn = (warning: CompileWarning) => void;

/** Warnings without repetitions, in the order of their first appearance. */
export function distinctWarnings(warnings: Iterable<CompileWarning>): CompileWarning[] {
  const distinct = new Map<string, CompileWarning>();
  for (const warning of warnings) {
    const key = [warning.kind, warning.namespace, warning.name, warning.field, warning.message].join("\n");
    if (!distinct.has(key)) distinct.set(key, warning);
  }
  return [...distinct.values()];
}
