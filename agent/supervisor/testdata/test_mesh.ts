/** A mesh for an agent to join, in this process: a real authority, a join port, and a gRPC port with mutual TLS. */
import { Admission, type AdmittedRequest } from "../../../ca/admission/admission.ts";
import { AdmissionError } from "../../../ca/admission/admission_error.ts";
import { Authority } from "../../../ca/authority/authority.ts";
import { temporaryDirectory } from "../../../ca/testing/directory.ts";
import { spiffeIdOfCertificate } from "../../../ca/x509/certificate.ts";
import {
  startTestControlPlane,
  type TestBehaviour,
  type TestControlPlane,
} from "../../discovery/testdata/test_control_plane.ts";

const trustDomain = "cluster.local";

export interface TestMesh extends AsyncDisposable {
  /** A folder for the agent, which goes with the mesh. */
  agentDir: string;
  authority: Authority;
  /** Paths that were asked for at the join port. */
  joins: string[];
  /** From now on every join is refused with this message. */
  refuseWith(message: string): void;
  /** How many certificates were asked for at the gRPC port; the first is refused when the mesh is told so. */
  renewals(): number;
  /** Port of the control plane, which {@link killControlPlane} and {@link startControlPlane} keep. */
  port: number;
  killControlPlane(): void;
  startControlPlane(): Promise<void>;
  /** For one join. */
  token(...identities: string[]): Promise<string>;
  tokenForJoins(uses: number, ...identities: string[]): Promise<string>;
}

export interface TestMeshOptions {
  /** How long certificates live, in milliseconds. */
  ttl: number;
  refuseFirstRenewal?: boolean;
  request?: TestBehaviour["request"];
}

export async function openTestMesh(options: TestMeshOptions): Promise<TestMesh> {
  const directory = await temporaryDirectory();
  const authority = await Authority.open({ dataDir: directory.path, trustDomain, workloadTtl: options.ttl });
  const admission = await Admission.open({ dataDir: directory.path, trustDomain });
  const { chain, privateKey } = await authority.issueServerCertificate(["127.0.0.1"], 3_600_000);
  let refusal: string | null = null;
  let renewals = 0;
  let controlPlane: TestControlPlane;
  const join = Deno.serve(
    { hostname: "127.0.0.1", port: 0, cert: chain.join(""), key: privateKey, onListen: () => {} },
    async (request) => {
      const { token, requests } = await request.json();
      mesh.joins.push(new URL(request.url).pathname);
      if (refusal !== null) return Response.json({ error: refusal, hint: "ask again" }, { status: 403 });
      let admitted: AdmittedRequest[];
      try {
        admitted = await admission.admit(token, requests);
      } catch (error) {
        if (!(error instanceof AdmissionError)) throw error;
        return Response.json({ error: error.message, hint: error.hint }, { status: 403 });
      }
      const certificates = await Promise.all(admitted.map(async ({ id, csr }) => ({
        identity: `${id.namespace}/${id.serviceAccount}`,
        ...await authority.signWorkload(csr, id),
      })));
      const addresses = [`127.0.0.1:${mesh.port}`];
      return Response.json({
        certificates,
        trustBundle: authority.trustBundle(),
        controlPlane: addresses,
        trustDomain,
      });
    },
  );
  const mesh: TestMesh = {
    agentDir: `${directory.path}/agent`,
    authority,
    joins: [],
    refuseWith: (message) => refusal = message,
    renewals: () => renewals,
    port: 0,
    killControlPlane: () => controlPlane.kill(),
    async startControlPlane() {
      const identity = { certificateChain: chain[0], privateKey, trustBundle: authority.trustBundle() };
      controlPlane = await startTestControlPlane(identity, {
        request: options.request,
        sign: async ({ csr }, peer) => {
          if (renewals++ === 0 && options.refuseFirstRenewal) throw new Error("not now");
          return { certChain: (await authority.signWorkload(csr, spiffeIdOfCertificate(peer))).chain };
        },
      }, mesh.port);
      mesh.port = controlPlane.port;
    },
    token: (...identities) => mesh.tokenForJoins(1, ...identities),
    tokenForJoins: (uses, ...identities) =>
      admission.createToken({
        identities,
        uses,
        ttl: 3_600_000,
        joinAddresses: [`127.0.0.1:${join.addr.port}`],
        xdsAddresses: [`127.0.0.1:${mesh.port}`],
        rootCertificate: authority.trustBundle(),
      }),
    async [Symbol.asyncDispose]() {
      controlPlane.kill();
      await join.shutdown();
      admission.close();
      await directory[Symbol.asyncDispose]();
    },
  };
  await mesh.startControlPlane();
  return mesh;
}
