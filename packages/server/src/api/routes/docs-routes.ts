import type { FastifyReply } from 'fastify';
import { listErrorDocs } from '../error-docs.ts';
import { escapeHtml, inlineHtml, pageStyle, renderPage } from '../html.ts';
import { createOpenApi } from '../openapi.ts';
import { renderReference, type ReferenceDocument } from '../reference.ts';
import type { ZodApp } from './route-context.ts';

/** The reference, rendered here: no script, nothing from other hosts. */
export function addDocsRoutes(app: ZodApp): void {
  const pages = new Map<string, string>();
  const hidden = { schema: { hide: true } };
  const openApi = () => remember(pages, 'openapi', () => JSON.stringify(createOpenApi(app), null, 2));

  app.get('/openapi.json', hidden, async (_request, reply) =>
    reply.type('application/json; charset=utf-8').send(openApi()),
  );
  app.get('/docs', hidden, async (_request, reply) => {
    const page = remember(pages, 'reference', () => renderReference(JSON.parse(openApi()) as ReferenceDocument)); // made above
    return sendPage(reply, page);
  });
  app.get('/docs/errors', hidden, async (_request, reply) =>
    sendPage(reply, remember(pages, 'errors', renderErrorsPage)),
  );
  app.get('/docs/style.css', hidden, async (_request, reply) =>
    reply.type('text/css; charset=utf-8').header('cache-control', 'public, max-age=300').send(pageStyle),
  );
}

function remember(pages: Map<string, string>, name: string, render: () => string): string {
  const page = pages.get(name) ?? render();
  pages.set(name, page);
  return page;
}

function sendPage(reply: FastifyReply, page: string): FastifyReply {
  return reply
    .type('text/html; charset=utf-8')
    .header('content-security-policy', "default-src 'none'; style-src 'self'; frame-ancestors 'none'; base-uri 'none'")
    .send(page);
}

function renderErrorsPage(): string {
  const docs = listErrorDocs();
  const navigation = docs.map(({ code }) => `<li><a href="#${code}">${code}</a></li>`).join('');
  const sections = docs.map(({ code, status, title, retryable, help }) => {
    const where = status === null ? 'In the <code>error</code> of a video' : `HTTP ${status}`;
    const when = retryable ? 'May pass by itself.' : 'Stays until something changes.';
    return `<section id="${code}"><h2><code>${code}</code></h2><p>${escapeHtml(title)}. ${where}. ${when}</p><p>${inlineHtml(help)}</p></section>`;
  });
  return renderPage('Dailies errors', `<ul>${navigation}</ul>`, `<h1>Errors</h1>${sections.join('')}`);
}
