import type { FastifyInstance } from 'fastify';

/** Which methods each path takes, for `Allow`. */
export interface RouteTable {
  methodsOf(path: string): readonly string[];
}

/** Collects the routes that are registered after this call. */
export function collectRoutes(app: FastifyInstance): RouteTable {
  const routes: { readonly pattern: RegExp; readonly methods: readonly string[] }[] = [];
  app.addHook('onRoute', (route) => {
    const pattern = route.url.replaceAll(/[.*+?^${}()|[\]\\]/g, String.raw`\$&`).replaceAll(/:\w+/g, '[^/]+');
    routes.push({ pattern: new RegExp(`^${pattern}$`), methods: [route.method].flat() });
  });
  return {
    methodsOf: (path) => [
      ...new Set(routes.filter((route) => route.pattern.test(path)).flatMap((route) => route.methods)),
    ],
  };
}
