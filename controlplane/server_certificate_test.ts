import { equal, notEqual, ok } from "node:assert/strict";
import { Authority } from "../ca/authority/authority.ts";
import { keepServerCertificate } from "./server_certificate.ts";
import { TestMesh } from "./testing/test_mesh.ts";

Deno.test("the server certificate is replaced while half of its life is left", () =>
  TestMesh.with(async (mesh) => {
    const authority = await Authority.open({ dataDir: mesh.dataDir, trustDomain: "cluster.local" });
    const certificates = await keepServerCertificate(authority, ["localhost"], "istio-system", 4000);
    const first = certificates.current;
    const replaced = Promise.withResolvers<void>();
    let replacements = 0;
    certificates.follow((certificate) => {
      equal(certificate, certificates.current);
      ok(first.notAfter.getTime() > Date.now(), "the first one is still good");
      replacements++;
      replaced.resolve();
      return Promise.resolve();
    });
    await replaced.promise;
    await certificates.close();
    equal(replacements, 1);
    notEqual(certificates.current.chain[0], first.chain[0]);
  }));
