/** Join tokens: what an operator hands to a new machine, so that it can speak to this mesh and no other. */
import { decodeJwt, errors, jwtVerify, SignJWT } from "jose";
import { parseServiceAccount } from "../spiffe/spiffe_id.ts";
import { parseCertificate } from "../x509/certificate.ts";
import { decodePem } from "../x509/pem.ts";
import { AdmissionError } from "./admission_error.ts";
import type { TokenKey } from "./token_key.ts";

export interface TokenOptions {
  /** `NAMESPACE/SERVICE-ACCOUNT` each: who may be joined with the token. */
  identities: string[];
  /** How many join calls the token admits. */
  uses: number;
  /** Milliseconds. */
  ttl: number;
  /** `host:port` each, in order of preference: where to join (15011). */
  joinAddresses: string[];
  /** `host:port` each: the control plane after joining (15012). */
  xdsAddresses: string[];
  /** PEM of what a joining agent trusts. */
  rootCertificate: string;
}

/** What a joining agent reads from its token. */
export interface JoinToken {
  trustDomain: string;
  joinAddresses: string[];
  xdsAddresses: string[];
  /** PEM. */
  rootCertificate: string;
  /** `NAMESPACE/SERVICE-ACCOUNT` each. */
  identities: string[];
  expires: Date;
}

/** A token that was verified to be ours and in time. */
export interface VerifiedToken {
  id: string;
  identities: string[];
  uses: number;
  expires: Date;
}

/** Keeps a join token apart from any other JWT that the same key might sign. */
const audience = "skiff-join";
const algorithm = "ES256";
const tokenLimit = 64 * 1024;

/**
 * Makes a token of somewhat over 1 KiB.
 *
 * @throws {AdmissionError} `bad_request`
 */
export async function createToken(
  options: TokenOptions,
  trustDomain: string,
  key: TokenKey,
  now: number,
): Promise<string> {
  checkOptions(options, trustDomain);
  const issued = Math.floor(now / 1000);
  return await new SignJWT({
    ids: options.identities,
    uses: options.uses,
    join: options.joinAddresses,
    xds: options.xdsAddresses,
    root: options.rootCertificate,
  })
    .setProtectedHeader({ alg: algorithm, typ: "JWT" })
    .setIssuer(trustDomain)
    .setAudience(audience)
    .setJti(crypto.randomUUID())
    .setIssuedAt(issued)
    .setExpirationTime(issued + Math.ceil(options.ttl / 1000))
    .sign(key.privateKey);
}

/**
 * The agent's side: reads a token WITHOUT verifying its signature. The agent cannot verify it, and need not: it trusts
 * the token because its operator handed it over, and it is this token that makes it trust the mesh.
 *
 * @throws {AdmissionError} `invalid_token`
 */
export function readToken(token: string): JoinToken {
  try {
    if (token.length > tokenLimit) throw new TypeError("too long");
    const claims = decodeJwt(token.trim());
    if (claims.aud !== audience) throw new TypeError(`the audience is not ${audience}`);
    const read = {
      trustDomain: text(claims.iss, "iss"),
      joinAddresses: texts(claims.join, "join"),
      xdsAddresses: texts(claims.xds, "xds"),
      rootCertificate: text(claims.root, "root"),
      identities: texts(claims.ids, "ids"),
      expires: new Date(whole(claims.exp, "exp") * 1000),
    };
    for (const der of decodePem(read.rootCertificate, "CERTIFICATE")) parseCertificate(der);
    checkOptions({ ...read, uses: 1, ttl: 1 }, read.trustDomain);
    return read;
  } catch (cause) {
    const reason = cause instanceof Error ? `: ${cause.message}` : "";
    throw new AdmissionError("invalid_token", `not a join token${reason}`, tokenHint, { cause });
  }
}

/**
 * The control plane's side: proves that the token is ours, for joining, and in time.
 *
 * @throws {AdmissionError} `invalid_token`, `expired_token`
 */
export async function verifyToken(
  token: string,
  trustDomain: string,
  key: TokenKey,
  now: number,
): Promise<VerifiedToken> {
  try {
    if (token.length > tokenLimit) throw new TypeError("too long");
    const { payload } = await jwtVerify(token, key.publicKey, {
      algorithms: [algorithm],
      issuer: trustDomain,
      audience,
      currentDate: new Date(now),
      requiredClaims: ["exp", "jti"],
    });
    return {
      id: text(payload.jti, "jti"),
      identities: texts(payload.ids, "ids"),
      uses: whole(payload.uses, "uses"),
      expires: new Date(whole(payload.exp, "exp") * 1000),
    };
  } catch (cause) {
    if (cause instanceof errors.JWTExpired) {
      throw new AdmissionError("expired_token", "the join token has expired", tokenHint, { cause });
    }
    // One message for all other faults: whoever sends no token of ours learns nothing about ours.
    throw new AdmissionError("invalid_token", "not a join token of this control plane", tokenHint, { cause });
  }
}

const tokenHint = "make a new one with: skiff token create --service-account NAMESPACE/NAME";

function checkOptions(options: TokenOptions, trustDomain: string): void {
  const refuse = (message: string, hint: string) => {
    throw new AdmissionError("bad_request", message, hint);
  };
  if (options.identities.length === 0) refuse("a token needs an identity", "name a NAMESPACE/SERVICE-ACCOUNT");
  for (const identity of options.identities) parseServiceAccount(identity, trustDomain);
  if (!Number.isSafeInteger(options.uses) || options.uses < 1) {
    refuse(`a token cannot have ${options.uses} uses`, "give a whole number from 1");
  }
  if (!Number.isFinite(options.ttl) || options.ttl <= 0) {
    refuse(`a token cannot live ${options.ttl} ms`, "give a duration above 0, such as 1h");
  }
  if (options.joinAddresses.length === 0) refuse("a token needs a join address", "give one as host:port");
  for (const address of [...options.joinAddresses, ...options.xdsAddresses]) {
    if (!isHostAndPort(address)) {
      refuse(`${JSON.stringify(address)} is not host:port`, "write 192.0.2.1:15011, [2001:db8::1]:15011 or name:15011");
    }
  }
  if (decodePem(options.rootCertificate, "CERTIFICATE").length === 0) {
    refuse("a token needs a root certificate", "give it as PEM");
  }
}

function isHostAndPort(address: string): boolean {
  const [, , port] = /^(\[[0-9a-fA-F:.]+\]|[A-Za-z0-9._-]+):([0-9]{1,5})$/.exec(address) ?? [];
  return port !== undefined && Number(port) >= 1 && Number(port) <= 65535;
}

function text(value: unknown, claim: string): string {
  if (typeof value !== "string" || value === "") throw new TypeError(`the claim ${claim} is missing`);
  return value;
}

function texts(value: unknown, claim: string): string[] {
  if (!Array.isArray(value)) throw new TypeError(`the claim ${claim} is missing`);
  return value.map((item) => text(item, claim));
}

function whole(value: unknown, claim: string): number {
  if (!Number.isSafeInteger(value) || (value as number) < 1) throw new TypeError(`the claim ${claim} is missing`);
  return value as number;
}
