/** `deno task demo`: bookinfo on a mesh of this machine, to look at; with `--check`, the whole scenario, to prove it. */
import { BookinfoMesh } from "./bookinfo_mesh.ts";
import { controlPlaneSteps } from "./check/control_plane_steps.ts";
import { faultSteps } from "./check/fault_steps.ts";
import { gatewaySteps } from "./check/gateway_steps.ts";
import { routingSteps } from "./check/routing_steps.ts";
import { runSteps } from "./check/step.ts";
import { tlsSteps } from "./check/tls_steps.ts";
import { guide } from "./guide.ts";

/** Lifetime of workload certificates in the check: renewed while it runs, and longer than a restart on a busy machine. */
const shortLived = "24s";

async function check(stopped: AbortSignal): Promise<boolean> {
  await using bookinfo = await BookinfoMesh.start({ workloadCertificateTtl: shortLived });
  const steps = [...routingSteps, ...gatewaySteps, ...faultSteps, ...tlsSteps, ...controlPlaneSteps];
  const held = await runSteps(bookinfo, steps, stopped);
  if (!held) console.log(bookinfo.logs());
  return held;
}

async function show(stopped: AbortSignal): Promise<void> {
  console.log("starting a control plane, three agents and bookinfo …");
  await using bookinfo = await BookinfoMesh.start();
  console.log(guide(bookinfo));
  if (!stopped.aborted) await new Promise((resolve) => stopped.addEventListener("abort", resolve));
  console.log("stopping …");
}

const unknown = Deno.args.filter((argument) => argument !== "--check");
if (unknown.length > 0) {
  console.error(`demo: unknown argument ${unknown[0]}; there is only --check`);
  Deno.exit(2);
}
const interrupted = new AbortController();
for (const signal of ["SIGINT", "SIGTERM"] as const) Deno.addSignalListener(signal, () => interrupted.abort());
try {
  if (Deno.args.includes("--check")) Deno.exit(await check(interrupted.signal) ? 0 : 1);
  await show(interrupted.signal);
  Deno.exit(0);
} catch (error) {
  console.error(`FAILED to start: ${error instanceof Error ? error.message : error}`);
  Deno.exit(1);
}
