/** Why a joining agent is not admitted, with the HTTP status that says so. */
export class AdmissionError extends Error {
  override name = "AdmissionError";
  readonly status: 400 | 401 | 403;
  constructor(
    readonly code: "invalid_token" | "expired_token" | "used_up_token" | "identity_not_allowed" | "bad_request",
    message: string,
    /** What an honest operator does about it. */
    readonly hint: string,
    options?: ErrorOptions,
  ) {
    super(message, options);
    this.status = statusOf[code];
  }
}

const statusOf = {
  invalid_token: 401,
  expired_token: 401,
  used_up_token: 403,
  identity_not_allowed: 403,
  bad_request: 400,
} as const;
