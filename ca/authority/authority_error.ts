/** Why the authority does not start or does not sign, and what an operator does about it. */
export class AuthorityError extends Error {
  override name = "AuthorityError";
  constructor(
    readonly code:
      | "root_incomplete"
      | "root_damaged"
      | "root_mismatch"
      | "root_expired"
      | "token_key_damaged"
      | "bad_lifetime"
      | "bad_name"
      | "foreign_trust_domain",
    message: string,
    readonly hint: string,
    options?: ErrorOptions,
  ) {
    super(message, options);
  }
}
