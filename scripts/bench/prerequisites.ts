/** What the benchmark needs and does not install. */

const needed: Record<string, { args: string[]; debianPackage: string }> = {
  nginx: { args: ["-v"], debianPackage: "nginx-light" },
  haproxy: { args: ["-v"], debianPackage: "haproxy" },
  wrk: { args: ["-v"], debianPackage: "wrk" },
  h2load: { args: ["--version"], debianPackage: "nghttp2-client" },
  openssl: { args: ["version"], debianPackage: "openssl" },
};

/** Versions of the programs; missing ones by the Debian package that has them. */
export function findPrograms(): {
  versions: Record<string, string>;
  missing: { program: string; debianPackage: string }[];
} {
  const versions: Record<string, string> = {};
  const missing: { program: string; debianPackage: string }[] = [];
  for (const [program, { args, debianPackage }] of Object.entries(needed)) {
    const found = version(program, args);
    if (found === null) missing.push({ program, debianPackage });
    else versions[program] = found;
  }
  return { versions, missing };
}

/** The first line that a program prints of its version; `null`: it cannot be started. */
export function version(program: string, args: string[]): string | null {
  try {
    const { stdout, stderr } = new Deno.Command(program, { args }).outputSync();
    const decoder = new TextDecoder();
    return (decoder.decode(stdout) + decoder.decode(stderr)).trim().split("\n")[0].trim();
  } catch {
    return null;
  }
}
