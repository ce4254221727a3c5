/** Why a control plane does not start, in words for whoever started it: the message names the flag. */
export class ControlPlaneError extends Error {
  override name = "ControlPlaneError";
  constructor(
    readonly code: "mesh_config" | "config_dir" | "data_dir" | "store" | "listen",
    message: string,
    readonly hint: string,
    options?: ErrorOptions,
  ) {
    super(message, options);
  }
}
