/** Whom an agent believes to be its control plane. */

/**
 * Takes the runtime's default roots away, before the first TLS connection of the process. `caCerts` of an HTTP client
 * adds to them instead of replacing them: any certificate that a public authority, or one of this machine, has issued
 * for the control plane's name would do beside the mesh's own.
 *
 * `deno run` looks for newer versions of itself in the background and may have read the roots by then: run from source,
 * this holds with DENO_NO_UPDATE_CHECK=1. Compiled programs do not look.
 */
export function trustTheMeshAlone(): void {
  // Read when a process first needs its roots; an empty list names no store.
  Deno.env.set("DENO_TLS_CA_STORE", "");
}
