import assert from "node:assert/strict";
import type { JsonObject } from "@bufbuild/protobuf";
import { httpFilterType, managerSetup, meshSetup } from "./configured.ts";
import { Backend, TestProxy } from "./harness.ts";

const filter = { name: "envoy.filters.http.cors", typedConfig: { "@type": httpFilterType("cors.v3.Cors") } };

function corsRoute(policy: JsonObject): JsonObject {
  return {
    match: { prefix: "/" },
    route: { cluster: "backend" },
    typedPerFilterConfig: {
      "envoy.filters.http.cors": { "@type": httpFilterType("cors.v3.CorsPolicy"), ...policy },
    },
  };
}

const origins: JsonObject = {
  allowOriginStringMatch: [{ exact: "https://a.example" }, { safeRegex: { regex: "https://.*\\.b" } }],
};

/** Headers of a response that speak of other origins. */
function access(response: Response): Record<string, string> {
  const found = [...response.headers].filter(([name]) => name.startsWith("access-control-"));
  return Object.fromEntries(found.map(([name, value]) => [name.slice("access-control-".length), value]));
}

async function through(
  policy: JsonObject,
  use: (ask: (method: string, headers: Record<string, string>) => Promise<Response>, backend: Backend) => Promise<void>,
): Promise<void> {
  await using backend = new Backend(() =>
    new Response("served", { headers: { "access-control-allow-origin": "https://upstream" } })
  );
  const { port, setup } = managerSetup({ httpFilters: [filter] }, [corsRoute(policy)], { backend: [backend.port] });
  await using _ = await TestProxy.start(setup);
  await use(async (method, headers) => {
    const response = await fetch(`http://127.0.0.1:${port}/`, { method, headers });
    await response.body?.cancel();
    return response;
  }, backend);
}

const preflight = (origin: string) => ({ origin, "access-control-request-method": "PUT" });

Deno.test("a preflight of an allowed origin is answered by the proxy", async () => {
  const policy = {
    ...origins,
    allowMethods: "GET,PUT",
    allowHeaders: "x-a",
    exposeHeaders: "x-b",
    maxAge: "60",
    allowCredentials: true,
    allowPrivateNetworkAccess: true,
  };
  await through(policy, async (ask, backend) => {
    const response = await ask("OPTIONS", preflight("https://a.example"));
    assert.equal(response.status, 200);
    assert.deepEqual(access(response), {
      "allow-origin": "https://a.example",
      "allow-credentials": "true",
      "allow-methods": "GET,PUT",
      "expose-headers": "x-b",
      "allow-headers": "x-a",
      "max-age": "60",
    });
    const asked = { ...preflight("https://x.b"), "access-control-request-private-network": "true" };
    assert.equal(access(await ask("OPTIONS", asked))["allow-private-network"], "true");
    assert.equal(backend.requests, 0);
  });
});

Deno.test("responses to an allowed origin say so, whatever the upstream says", async () => {
  const policy = { ...origins, exposeHeaders: "x-b", allowCredentials: true, allowMethods: "GET" };
  await through(policy, async (ask) => {
    assert.deepEqual(access(await ask("GET", { origin: "https://x.b" })), {
      "allow-origin": "https://x.b",
      "allow-credentials": "true",
      "expose-headers": "x-b",
    });
    const others: Record<string, string>[] = [{ origin: "https://evil.example" }, {}];
    for (const headers of others) {
      assert.deepEqual(access(await ask("GET", headers)), { "allow-origin": "https://upstream" });
    }
  });
});

Deno.test("OPTIONS that is no preflight goes on", async () => {
  await through(origins, async (ask, backend) => {
    await ask("OPTIONS", { origin: "https://a.example" });
    await ask("OPTIONS", { "access-control-request-method": "PUT" });
    assert.equal(backend.requests, 2);
  });
});

Deno.test("a preflight of another origin goes on, or is answered without a permission where that is configured", async () => {
  await through(origins, async (ask, backend) => {
    const response = await ask("OPTIONS", preflight("https://evil.example"));
    assert.deepEqual(access(response), { "allow-origin": "https://upstream" });
    assert.equal(backend.requests, 1);
  });
  await through({ ...origins, forwardNotMatchingPreflights: false }, async (ask, backend) => {
    const response = await ask("OPTIONS", preflight("https://evil.example"));
    assert.equal(response.status, 200);
    assert.deepEqual(access(response), {});
    assert.equal(backend.requests, 0);
  });
});

Deno.test("a policy that is switched off does nothing", async () => {
  await through({ ...origins, filterEnabled: { defaultValue: { numerator: 0 } } }, async (ask, backend) => {
    await ask("OPTIONS", preflight("https://a.example"));
    assert.equal(backend.requests, 1);
  });
});

Deno.test("replies of the proxy itself to an allowed origin can be read by it", async () => {
  const { port, setup } = managerSetup({ httpFilters: [filter] }, [corsRoute(origins)], { backend: [] });
  await using _ = await TestProxy.start(setup);
  const response = await fetch(`http://127.0.0.1:${port}/`, { headers: { origin: "https://a.example" } });
  assert.equal(response.status, 503);
  assert.equal(await response.text(), "no healthy upstream");
  assert.deepEqual(access(response), { "allow-origin": "https://a.example" });
});

Deno.test("a VirtualService's corsPolicy is in force", async () => {
  await using backend = new Backend(() => new Response("served"));
  const rules = `
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: { name: reviews }
spec:
  hosts: [reviews]
  http:
    - corsPolicy:
        allowOrigins: [{ exact: "https://a.example" }]
        allowMethods: [GET, POST]
        allowHeaders: [x-a, x-b]
        exposeHeaders: [x-c]
        maxAge: 24h
        allowCredentials: true
        unmatchedPreflights: IGNORE
      route: [{ destination: { host: reviews } }]
`;
  const { port, setup } = meshSetup(rules, { reviews: backend.port });
  await using _ = await TestProxy.start(setup);
  const client = Deno.createHttpClient({ proxy: { url: `http://127.0.0.1:${port}` } });
  try {
    const ask = async (method: string, headers: Record<string, string>) => {
      const response = await fetch("http://reviews:9080/", { method, headers, client });
      await response.body?.cancel();
      return access(response);
    };
    assert.deepEqual(await ask("OPTIONS", preflight("https://a.example")), {
      "allow-origin": "https://a.example",
      "allow-credentials": "true",
      "allow-methods": "GET,POST",
      "expose-headers": "x-c",
      "allow-headers": "x-a,x-b",
      "max-age": "86400",
    });
    assert.deepEqual(await ask("OPTIONS", preflight("https://evil.example")), {});
    assert.equal(backend.requests, 0);
    assert.deepEqual(await ask("GET", { origin: "https://a.example" }), {
      "allow-origin": "https://a.example",
      "allow-credentials": "true",
      "expose-headers": "x-c",
    });
  } finally {
    client.close();
  }
});
