/** Text that is safe inside an element or a quoted attribute. */
export function escapeHtml(text: string): string {
  return text
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll('"', '&quot;')
    .replaceAll("'", '&#39;');
}

/** Escaped text in which `code` is marked as such. */
export function inlineHtml(text: string): string {
  return escapeHtml(text).replaceAll(/`([^`]+)`/g, '<code>$1</code>');
}

/** A whole page of the reference. It loads one style sheet from this server and runs nothing. */
export function renderPage(title: string, navigation: string, content: string): string {
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${escapeHtml(title)}</title>
<link rel="stylesheet" href="/docs/style.css">
</head>
<body>
<nav aria-label="Contents"><p class="brand"><a href="/docs">Dailies API</a></p>${navigation}</nav>
<main>${content}</main>
</body>
</html>
`;
}

export const pageStyle = `
:root { color-scheme: light dark; --line: color-mix(in srgb, currentColor 18%, transparent); --soft: color-mix(in srgb, currentColor 6%, transparent); --accent: light-dark(#0b57d0, #8ab4f8); }
* { box-sizing: border-box; }
body { margin: 0; display: grid; grid-template-columns: 17rem minmax(0, 1fr); font: 16px/1.55 system-ui, sans-serif; }
nav { position: sticky; top: 0; height: 100vh; overflow: auto; padding: 1.2rem; border-right: 1px solid var(--line); font-size: 0.9rem; }
nav ul { list-style: none; margin: 0 0 1rem; padding: 0; }
nav li { margin: 0.25rem 0; }
nav h2 { font-size: 0.75rem; margin: 1rem 0 0.3rem; text-transform: uppercase; letter-spacing: 0.06em; }
.brand { font-weight: 700; font-size: 1.1rem; margin: 0; }
main { padding: 1.5rem 2.5rem 4rem; max-width: 62rem; }
a { color: var(--accent); text-decoration: none; } a:hover { text-decoration: underline; }
section { border-top: 1px solid var(--line); padding: 0.5rem 0 1.2rem; scroll-margin-top: 1rem; }
h1 { line-height: 1.2; } h2 { margin-bottom: 0.3rem; } h3 { margin: 1.2rem 0 0.3rem; font-size: 1rem; }
code, pre { font: 0.88em/1.5 ui-monospace, monospace; background: var(--soft); border-radius: 4px; }
code { padding: 0.1em 0.3em; overflow-wrap: anywhere; } td:first-child code { white-space: nowrap; } pre { padding: 0.8rem 1rem; overflow: auto; } pre code { background: none; padding: 0; }
table { border-collapse: collapse; width: 100%; font-size: 0.92rem; }
th, td { text-align: left; vertical-align: top; padding: 0.35rem 0.8rem 0.35rem 0; border-bottom: 1px solid var(--line); }
.method { font: 700 0.75rem ui-monospace, monospace; padding: 0.15rem 0.45rem; border-radius: 4px; background: var(--soft); }
.path { font-size: 1.05rem; font-weight: 600; }
@media (max-width: 800px) { body { display: block; } nav { position: static; height: auto; border: 0; } main { padding: 1rem; } table { display: block; overflow-x: auto; } td a + code { display: block; width: fit-content; font-size: 0.7rem; } }
`;
