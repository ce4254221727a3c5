/** The control plane, part by part, in the order in which one needs the other. */
import { Admission } from "../ca/admission/admission.ts";
import { Authority } from "../ca/authority/authority.ts";
import { logger } from "../log/log.ts";
import { type Address, advertisedAddresses, formatAddress, listening } from "./addresses.ts";
import { apiApp } from "./api/app.ts";
import { startApiServer } from "./api/api_server.ts";
import { reportedProblems } from "./api/problems.ts";
import { openDataDirectory } from "./data_directory.ts";
import { watchConfiguration } from "./discovery/configuration.ts";
import { joinApp } from "./join/join_app.ts";
import { startJoinServer } from "./join/join_server.ts";
import { readMeshSettings } from "./mesh_settings.ts";
import { MetricSet } from "./metrics/metric_set.ts";
import { clientStatusService } from "./push/client_status.ts";
import { discoveryService } from "./push/discovery_service.ts";
import { Proxies } from "./push/proxies.ts";
import { pushMetrics } from "./push/push_metrics.ts";
import { Pusher } from "./push/pusher.ts";
import { startXdsServer } from "./push/xds_server.ts";
import { RegisteredWorkloads } from "./registry/registered_workloads.ts";
import { Registry } from "./registry/registry.ts";
import { registryMetrics } from "./registry/registry_metrics.ts";
import { keepServerCertificate } from "./server_certificate.ts";
import { signingService } from "./sign/signing_service.ts";
import { openStore } from "./store/open_store.ts";

export interface ControlPlaneOptions {
  /** mesh.yaml; Istio's defaults without one. */
  meshConfigFile?: string;
  /** Directory of Istio resources, watched. */
  configDir?: string;
  dataDir: string;
  /** ADS and renewal, gRPC over mutual TLS. */
  xdsListen: Address;
  /** Joining with a token, HTTPS. */
  joinListen: Address;
  /** REST API, HTTP. */
  httpListen: Address;
  /** Names and addresses under which agents reach it, in order of preference. */
  advertise: string[];
  /** `sqlite`. */
  store: string;
  /** Longest life of a workload certificate in milliseconds; 24 h by default. */
  workloadCertificateTtl?: number;
  /** Milliseconds for which a workload stays in the mesh without a stream; 10 s by default. */
  gracePeriod?: number;
}

export interface ControlPlane {
  /** Where it really listens. */
  readonly xdsAddress: Address;
  readonly joinAddress: Address;
  readonly httpAddress: Address;
  readonly trustDomain: string;
  /** Ends streams and calls in progress, then releases everything. */
  stop(): Promise<void>;
}

const log = logger("controlplane");

/**
 * Starts a control plane. When it cannot start, nothing of it is left.
 *
 * @throws {ControlPlaneError} for a file, directory or address that cannot be used
 * @throws {AuthorityError} for a damaged root, or a name that cannot be advertised
 */
export async function startControlPlane(options: ControlPlaneOptions): Promise<ControlPlane> {
  const { dataDir, advertise, xdsListen, joinListen, httpListen, gracePeriod = 10_000 } = options;
  await using parts = new AsyncDisposableStack();

  const settings = await readMeshSettings(options.meshConfigFile);
  const { trustDomain } = settings;
  await openDataDirectory(dataDir);

  const authority = await Authority.open({ dataDir, trustDomain, workloadTtl: options.workloadCertificateTtl });
  const admission = await Admission.open({ dataDir, trustDomain });
  parts.defer(() => admission.close());
  const certificates = await keepServerCertificate(authority, advertise, settings.rootNamespace);
  parts.defer(() => certificates.close());

  const store = await openStore(options.store, dataDir);
  parts.defer(() => store.close());
  const workloads = await RegisteredWorkloads.open({
    store,
    gracePeriod,
    onChange() {
      registry.invalidate();
      pusher.changed();
    },
  });
  parts.defer(() => workloads.close());
  const registry = new Registry(settings, () => workloads.list());
  const metrics = new MetricSet();
  registryMetrics(metrics, registry);
  const proxies = new Proxies(trustDomain, Date.now);
  const pusher: Pusher = new Pusher({
    authority,
    mesh: () => registry.mesh(),
    workloads,
    proxies,
    metrics: pushMetrics(metrics, () => pusher.connected),
  });

  const configuration = await watchConfiguration(options.configDir, store, (resources) => {
    registry.setResources(resources);
    pusher.changed();
  });
  parts.defer(() => configuration.close());

  const xds = await listening("--xds-listen", xdsListen, () =>
    startXdsServer({
      listen: xdsListen,
      certificate: certificates.current,
      trustBundle: authority.trustBundle(),
      methods: [
        ...discoveryService(pusher.serve),
        ...clientStatusService(authority, proxies),
        signingService(authority),
      ],
    }));
  parts.defer(() => xds.shutdown());
  parts.defer(() => pusher.close());

  const xdsAddresses = advertisedAddresses(advertise, xds.port);
  const join = await listening("--join-listen", joinListen, () =>
    startJoinServer({
      listen: joinListen,
      certificate: certificates.current.chain.join(""),
      key: certificates.current.privateKey,
      app: joinApp({ authority, admission, xdsAddresses }),
    }));
  parts.defer(() => join.shutdown());
  certificates.follow(async (certificate) => {
    await join.replaceCertificate(certificate.chain.join(""), certificate.privateKey);
    xds.replaceCertificate(certificate);
  });

  let ready = true;
  const app = apiApp({
    store,
    ready: () => ready,
    metrics: () => metrics.text(),
    proxies: () => proxies.list(),
    configurations: (wanted) => proxies.configurations(wanted),
    problems: () => reportedProblems(configuration.problems(), registry.conflicts(), pusher.warnings()),
    mesh: () => registry.mesh(),
    createToken: (request) =>
      admission.createToken({
        ...request,
        joinAddresses: advertisedAddresses(advertise, join.port),
        xdsAddresses,
        rootCertificate: authority.trustBundle(),
      }),
  });
  const api = await listening("--http-listen", httpListen, () => startApiServer(app, httpListen));
  parts.defer(() => api.shutdown());

  const running = parts.move();
  const controlPlane: ControlPlane = {
    xdsAddress: { host: xdsListen.host, port: xds.port },
    joinAddress: { host: join.address, port: join.port },
    httpAddress: { host: api.address, port: api.port },
    trustDomain,
    async stop() {
      ready = false;
      await running.disposeAsync();
      log.info("stopped");
    },
  };
  log.info("ready", {
    xds: formatAddress(controlPlane.xdsAddress),
    join: formatAddress(controlPlane.joinAddress),
    http: formatAddress(controlPlane.httpAddress),
    trustDomain,
  });
  return controlPlane;
}
