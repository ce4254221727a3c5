/** The agent cannot start as it was asked to: its user must change something. */
export class AgentStartError extends Error {
  override readonly name = "AgentStartError";
  /** `hint` says what would be right. */
  constructor(message: string, readonly hint: string, options?: ErrorOptions) {
    super(message, options);
  }
}
