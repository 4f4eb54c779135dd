import { escapeHtml, inlineHtml, renderPage } from './html.ts';
import { describeType, renderFields, type Schema } from './reference-schema.ts';

interface Parameter {
  readonly name: string;
  readonly in: string;
  readonly required?: boolean;
  readonly description?: string;
  readonly schema?: Schema;
}

interface Content {
  readonly [mediaType: string]: { readonly schema?: Schema };
}

interface Operation {
  readonly operationId?: string;
  readonly summary?: string;
  readonly description?: string;
  readonly tags?: readonly string[];
  readonly parameters?: readonly Parameter[];
  readonly requestBody?: { readonly content: Content };
  readonly responses?: { readonly [status: string]: { readonly description: string; readonly content?: Content } };
}

/** As much of an OpenAPI document as the page shows. */
export interface ReferenceDocument {
  readonly info: { readonly description?: string };
  readonly servers: readonly { readonly url: string }[];
  readonly paths: { readonly [path: string]: { readonly [method: string]: Operation } };
  readonly components: { readonly schemas: { readonly [name: string]: Schema } };
}

interface Entry extends Operation {
  readonly method: string;
  readonly path: string;
  readonly anchor: string;
}

/** The whole API on one page, from the document that /openapi.json serves. */
export function renderReference(document: ReferenceDocument): string {
  const entries = Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]): Entry => ({
      ...operation,
      method: method.toUpperCase(),
      path,
      anchor: operation.operationId ?? `${method}-${path}`,
    })),
  );
  const schemas = Object.entries(document.components.schemas);
  const server = document.servers[0]?.url ?? '';
  const content = [
    `<h1>Dailies API</h1><p>${inlineHtml(document.info.description ?? '')}</p>`,
    '<p>Machine-readable: <a href="/openapi.json">/openapi.json</a>. Errors: <a href="/docs/errors">every code</a>.</p>',
    `<pre><code>${escapeHtml(firstRequest(server))}</code></pre>`,
    ...entries.map((entry) => renderOperation(entry)),
    '<h2>Schemas</h2>',
    ...schemas.map(
      ([name, schema]) =>
        `<section id="schema-${escapeHtml(name)}"><h3>${escapeHtml(name)}</h3>${
          schema.description ? `<p>${inlineHtml(schema.description)}</p>` : ''
        }${renderFields(schema)}</section>`,
    ),
  ].join('\n');
  return renderPage('Dailies API reference', renderNavigation(entries), content);
}

function firstRequest(server: string): string {
  return [
    `curl -X POST ${server}/api/videos \\`,
    '  -H "Authorization: Bearer $DAILIES_API_KEY" -H "Content-Type: application/json" \\',
    '  -d \'{"prompt": "a red fox running through fresh snow"}\'',
  ].join('\n');
}

function renderNavigation(entries: readonly Entry[]): string {
  const groups = Map.groupBy(entries, (entry) => entry.tags?.[0] ?? 'other');
  return [...groups]
    .map(([tag, group]) => {
      const items = group.map(
        ({ anchor, method, path }) =>
          `<li><a href="#${escapeHtml(anchor)}"><span class="method">${method}</span> ${escapeHtml(path)}</a></li>`,
      );
      return `<h2>${escapeHtml(tag)}</h2><ul>${items.join('')}</ul>`;
    })
    .join('');
}

function renderOperation(entry: Entry): string {
  const { anchor, method, path, summary, description, parameters = [], requestBody, responses = {} } = entry;
  return [
    `<section id="${escapeHtml(anchor)}">`,
    `<h2><span class="method">${method}</span> <span class="path">${escapeHtml(path)}</span></h2>`,
    summary ? `<p>${inlineHtml(summary)}.</p>` : '',
    description ? `<p>${inlineHtml(description)}</p>` : '',
    parameters.length > 0 ? `<h3>Parameters</h3>${renderParameters(parameters)}` : '',
    requestBody ? `<h3>Body</h3>${renderContent(requestBody.content)}` : '',
    `<h3>Answers</h3>${renderResponses(responses)}`,
    '</section>',
  ].join('\n');
}

function renderParameters(parameters: readonly Parameter[]): string {
  const rows = parameters.map(
    ({ name, in: place, required, description = '', schema = {} }) =>
      `<tr><td><code>${escapeHtml(name)}</code></td><td>${escapeHtml(place)}${required ? ', required' : ''}</td>` +
      `<td>${describeType(schema)}</td><td>${inlineHtml(description)}</td></tr>`,
  );
  return `<table><tr><th>Name</th><th>In</th><th>Type</th><th>Meaning</th></tr>${rows.join('')}</table>`;
}

function renderResponses(responses: NonNullable<Operation['responses']>): string {
  const rows = Object.entries(responses).map(
    ([status, { description, content = {} }]) =>
      `<tr><td><code>${escapeHtml(status)}</code></td><td>${inlineHtml(description)}</td><td>${renderContent(content)}</td></tr>`,
  );
  return `<table>${rows.join('')}</table>`;
}

function renderContent(content: Content): string {
  return Object.entries(content)
    .map(([mediaType, { schema = {} }]) => `${describeType(schema)} <code>${escapeHtml(mediaType)}</code>`)
    .join('<br>');
}
