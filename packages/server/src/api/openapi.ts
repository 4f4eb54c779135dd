import swagger from '@fastify/swagger';
import type { FastifyInstance } from 'fastify';
import { createJsonSchemaTransform, createJsonSchemaTransformObject } from 'fastify-type-provider-zod';

type Json = null | boolean | number | string | Json[] | { [name: string]: Json };

/** Collects the schemas of the routes that are registered after this call; `app.swagger()` gives the raw document. */
export function collectSchemas(app: FastifyInstance, options: { publicUrl: string; version: string }): void {
  void app.register(swagger, {
    openapi: {
      openapi: '3.1.0',
      info: {
        title: 'Dailies',
        version: options.version,
        description:
          'The production platform between your product and the Kling AI video API. Errors are RFC 9457 problem documents ' +
          'with a stable `code`; fields are only added to answers.',
        license: { name: 'Apache-2.0', identifier: 'Apache-2.0' },
      },
      servers: [{ url: options.publicUrl }],
      security: [{ key: [] }],
      components: {
        securitySchemes: { key: { type: 'http', scheme: 'bearer', description: 'An API key: `dls_…`.' } },
      },
    },
    transform: createJsonSchemaTransform({}),
    transformObject: createJsonSchemaTransformObject({}),
  });
}

/**
 * The document as it is served: only components that something refers to, under their plain names, and `metadata` filters as
 * `metadata[key]=value`.
 */
export function createOpenApi(app: FastifyInstance): { [name: string]: Json } {
  const document = JSON.parse(JSON.stringify(app.swagger())) as { [name: string]: Json }; // it was JSON-like before
  const components = document['components'] as { schemas: { [name: string]: Json } }; // made by the plug-in
  // HEAD is GET without a body; described twice, it would repeat the operation's name.
  for (const path of Object.values(document['paths'] as { [path: string]: { head?: Json } })) delete path.head;
  prune(document, components.schemas);
  const renamed = JSON.parse(
    Object.keys(components.schemas)
      .filter((name) => name.endsWith('Input') && !(name.slice(0, -5) in components.schemas))
      .reduce(
        (text, name) =>
          text
            .replaceAll(`"#/components/schemas/${name}"`, `"#/components/schemas/${name.slice(0, -5)}"`)
            .replaceAll(`"${name}":`, `"${name.slice(0, -5)}":`),
        JSON.stringify(document),
      ),
  ) as { [name: string]: Json };
  return visit(renamed, polish) as { [name: string]: Json };
}

/** Drops components that nothing refers to, until none is left; the plug-in adds each for input and for output. */
function prune(document: Json, schemas: { [name: string]: Json }): void {
  for (let dropped = true; dropped;) {
    const text = JSON.stringify(document);
    const unused = Object.keys(schemas).filter((name) => !text.includes(`"#/components/schemas/${name}"`));
    for (const name of unused) delete schemas[name];
    dropped = unused.length > 0;
  }
}

function visit(value: Json, change: (node: { [name: string]: Json }) => { [name: string]: Json }): Json {
  if (Array.isArray(value)) return value.map((item) => visit(item, change));
  if (value === null || typeof value !== 'object') return value;
  return change(Object.fromEntries(Object.entries(value).map(([name, item]) => [name, visit(item, change)])));
}

function polish(node: { [name: string]: Json }): { [name: string]: Json } {
  if (node['description'] === 'Default Response') return { ...node, description: 'Done.' };
  return node['in'] === 'query' && node['name'] === 'metadata' ? { ...node, style: 'deepObject', explode: true } : node;
}
