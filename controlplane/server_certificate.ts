/** Keeps the control plane's own certificate current. */
import type { Authority, ServerCertificate } from "../ca/authority/authority.ts";
import { logger } from "../log/log.ts";

export interface ServerCertificates {
  readonly current: ServerCertificate;
  /** Calls back with each new certificate, well before the last one ends. */
  follow(replaced: (certificate: ServerCertificate) => Promise<void>): void;
  close(): Promise<void>;
}

const log = logger("controlplane");
const day = 24 * 60 * 60 * 1000;
/** Milliseconds after which a renewal that failed is tried again. */
const retryAfter = 60_000;
const longestTimer = 2 ** 31 - 1;

/**
 * @param names DNS names and addresses under which agents reach the control plane
 * @param lifetime milliseconds; half of it is left when the next one is made
 * @throws {AuthorityError} for a name that cannot be in a certificate
 */
export async function keepServerCertificate(
  authority: Authority,
  names: string[],
  namespace: string,
  lifetime = 30 * day,
): Promise<ServerCertificates> {
  const issue = () => authority.issueServerCertificate(names, lifetime, namespace);
  let current = await issue();
  let timer: ReturnType<typeof setTimeout> | undefined;
  let renewing = Promise.resolve();
  return {
    get current() {
      return current;
    },
    follow(replaced) {
      const renew = async () => {
        try {
          current = await issue();
          await replaced(current);
          log.info("server certificate renewed", { notAfter: current.notAfter.toISOString() });
          schedule(lifetimeLeft(current) / 2);
        } catch (error) {
          log.error("the server certificate could not be renewed", { reason: String(error) });
          schedule(retryAfter);
        }
      };
      const schedule = (delay: number) => {
        timer = setTimeout(() => renewing = renew(), Math.min(delay, longestTimer));
      };
      schedule(lifetimeLeft(current) / 2);
    },
    async close() {
      clearTimeout(timer);
      await renewing;
      clearTimeout(timer);
    },
  };
}

/** The authority may have given less than was asked for. */
function lifetimeLeft({ notAfter }: ServerCertificate): number {
  return Math.max(1000, notAfter.getTime() - Date.now());
}
