/** What the benchmark needs and does not install. */

const needed: Record<string, { args: string[]; debianPackage: string }> = {
  nginx: { args: ["-v"], debianPackage: "nginx-light" },
  haproxy: { args: ["-v"], debianPackage: "haproxy" },
  wrk: { args: ["-v"], debianPackage: "wrk" },
  h2load: { args: ["--version"], debianPackage: "nghttp2-client" },
  openssl: { args: ["version"], debianPackage: "openssl" },
};

/** First line of each program's version; missing ones by the Debian package that has them. */
export function findPrograms(): {
  versions: Record<string, string>;
  missing: { program: string; debianPackage: string }[];
} {
  const versions: Record<string, string> = {};
  const missing: { program: string; debianPackage: string }[] = [];
  for (const [program, { args, debianPackage }] of Object.entries(needed)) {
    try {
      const { stdout, stderr } = new Deno.Command(program, { args }).outputSync();
      const decoder = new TextDecoder();
      versions[program] = (decoder.decode(stdout) + decoder.decode(stderr)).split("\n")[0].trim();
    } catch {
      missing.push({ program, debianPackage });
    }
  }
  return { versions, missing };
}
