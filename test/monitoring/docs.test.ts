import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { metricList, type MetricRow } from '../../packages/server/src/monitoring/metric-list.ts';
import { createMetrics } from '../../packages/server/src/monitoring/metrics.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));

/** To be pasted between the marks of docs/monitoring.md. */
function metricTable(): string {
  const rows = Object.entries<MetricRow>(metricList).map(([name, { type, scope, labels, help }]) => {
    const of = scope === 'platform' ? 'platform' : 'process';
    return `| \`${name}\` | ${type} | ${of} | ${labels.map((label) => `\`${label}\``).join(', ')} | ${help} |`;
  });
  return ['| metric | type | of | labels | says |', '|---|---|---|---|---|', ...rows].join('\n');
}

test('docs/monitoring.md lists every metric as it is', () => {
  const page = readFileSync(`${root}docs/monitoring.md`, 'utf8');
  const [, table] = /<!-- metrics -->\n([\s\S]*?)\n?<!-- \/metrics -->/.exec(page) ?? [];
  expect(table).toBe(metricTable());
});

test('every metric follows the naming rules, and the registry has each of them', async () => {
  const { body } = await createMetrics().text();
  for (const [name, { type, help, scope }] of Object.entries<MetricRow>(metricList)) {
    expect(body).toContain(`# HELP ${name} ${help}\n# TYPE ${name} ${type}\n`);
    expect(name).toMatch(/^dailies_[a-z_]+$/);
    expect(name.endsWith('_total'), name).toBe(type === 'counter');
    if (type === 'histogram') expect(name).toMatch(/_seconds$/);
    if (scope === 'platform') expect(type).toBe('gauge');
  }
});

test('the dashboard shows every metric, and asks for none that does not exist', () => {
  const dashboard = readFileSync(`${root}deploy/grafana/dailies.json`, 'utf8');
  const names = new Set(Object.keys(metricList));
  const asked = [...dashboard.matchAll(/\bdailies_\w+/g)].map(([name]) => name.replace(/_(?:bucket|count|sum)$/, ''));
  expect(asked.filter((name) => !names.has(name))).toEqual([]);
  expect([...names].filter((name) => !asked.includes(name))).toEqual([]);
});
