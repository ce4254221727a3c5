/** Certificates of a benchmark, made with the openssl program: ECDSA P-256, one authority, one for each proxy. */
import { join } from "node:path";

/** Paths of PEM files. */
export interface Certificate {
  certificate: string;
  key: string;
  /** Certificate and key in one file, as HAProxy reads them. */
  both: string;
}

export interface Certificates {
  /** The authority's certificate. */
  authority: string;
  front: Certificate;
  back: Certificate;
}

/** What peers dial: the DNS name in the back proxy's certificate. */
export const backName = "back.bench";
/** The SPIFFE identity of a proxy. */
export const principal = (name: "front" | "back") => `spiffe://cluster.local/ns/default/sa/${name}`;

/** Makes all certificates in `folder`. Throws with openssl's own words when it cannot. */
export async function makeCertificates(folder: string): Promise<Certificates> {
  const authority = join(folder, "ca.crt");
  const authorityKey = join(folder, "ca.key");
  const newKey = ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"];
  await openssl([...newKey, "-subj", "/CN=bench", "-keyout", authorityKey, "-out", authority]);
  const signed = async (name: "front" | "back"): Promise<Certificate> => {
    const paths = {
      certificate: join(folder, `${name}.crt`),
      key: join(folder, `${name}.key`),
      both: join(folder, `${name}.pem`),
    };
    const extensions = [
      `subjectAltName=URI:${principal(name)},DNS:${name}.bench,IP:127.0.0.1`,
      "basicConstraints=critical,CA:FALSE",
      "keyUsage=critical,digitalSignature",
      "extendedKeyUsage=serverAuth,clientAuth",
    ];
    await openssl([
      ...newKey,
      ...["-subj", `/CN=${name}.bench`, "-CA", authority, "-CAkey", authorityKey],
      ...extensions.flatMap((extension) => ["-addext", extension]),
      ...["-keyout", paths.key, "-out", paths.certificate],
    ]);
    const both = await Deno.readTextFile(paths.certificate) + await Deno.readTextFile(paths.key);
    await Deno.writeTextFile(paths.both, both);
    return paths;
  };
  return { authority, front: await signed("front"), back: await signed("back") };
}

async function openssl(args: string[]): Promise<void> {
  const { success, stderr } = await new Deno.Command("openssl", { args, stdin: "null" }).output();
  if (!success) throw new Error(`openssl ${args[0]}: ${new TextDecoder().decode(stderr).trim()}`);
}
