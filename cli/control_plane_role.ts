import { advertisedAddresses } from "../controlplane/addresses.ts";
import { type ControlPlane, type ControlPlaneOptions, startControlPlane } from "../controlplane/control_plane.ts";
import { writeJoinFacts } from "./join_facts.ts";

/** Starts a control plane and leaves in its data directory what `token create` needs. */
export async function startControlPlaneRole(options: ControlPlaneOptions): Promise<ControlPlane> {
  const controlPlane = await startControlPlane(options);
  const { trustDomain, joinAddress, xdsAddress } = controlPlane;
  writeJoinFacts(options.dataDir, {
    trustDomain,
    joinAddresses: advertisedAddresses(options.advertise, joinAddress.port),
    xdsAddresses: advertisedAddresses(options.advertise, xdsAddress.port),
  });
  return controlPlane;
}
