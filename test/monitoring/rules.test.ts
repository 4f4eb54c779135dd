import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { metricList } from '../../packages/server/src/monitoring/metric-list.ts';
import { missingPrometheus } from '../servers/prometheus.ts';
import { findProgram } from '../servers/spawn.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));
const folder = `${root}deploy/prometheus`;
const missing = missingPrometheus();

interface Alert {
  readonly alert: string;
  readonly expr: string;
  readonly annotations: Readonly<Record<string, string>>;
}

interface RuleTest {
  readonly alert_rule_test: readonly { readonly alertname: string; readonly exp_alerts: readonly unknown[] }[];
}

const alerts = (parse(read('alerts.yml')) as { groups: { rules: Alert[] }[] }).groups.flatMap(({ rules }) => rules);

function read(file: string): string {
  return readFileSync(`${folder}/${file}`, 'utf8');
}

function run(program: string, ...args: string[]): string {
  return execFileSync(findProgram(program) ?? program, args, { cwd: folder, encoding: 'utf8', stdio: 'pipe' });
}

describe.skipIf(missing)(`the alert rules${missing ? ` (skipped: ${missing})` : ''}`, () => {
  test('what is handed to Prometheus and Alertmanager is valid', () => {
    expect(run('promtool', 'check', 'config', 'prometheus.yml')).toContain('SUCCESS');
    expect(run('promtool', 'check', 'rules', 'alerts.yml')).toContain(`SUCCESS: ${alerts.length} rules found`);
    expect(run('amtool', 'check-config', 'alertmanager.yml')).toContain('SUCCESS');
  });

  test('every alert fires when it should, with its text, and stays calm when it should', () => {
    expect(run('promtool', 'test', 'rules', 'alerts.test.yml')).toContain('SUCCESS');
  });
});

test('every alert is tested firing and not firing', () => {
  const { tests } = parse(read('alerts.test.yml')) as { tests: RuleTest[] };
  const cases = tests.flatMap((one) => one.alert_rule_test);
  for (const { alert } of alerts) {
    const own = cases.filter(({ alertname }) => alertname === alert);
    expect(
      own.some(({ exp_alerts: expected }) => expected.length > 0),
      `${alert} fires`,
    ).toBe(true);
    expect(
      own.some(({ exp_alerts: expected }) => expected.length === 0),
      `${alert} stays calm`,
    ).toBe(true);
  }
});

test('every alert says what to do, in a runbook that exists', () => {
  const headings = [...readFileSync(`${root}docs/monitoring.md`, 'utf8').matchAll(/^### (\w+)$/gm)].map(
    ([, name]) => name,
  );
  for (const { alert, annotations } of alerts) {
    expect(annotations).toMatchObject({ summary: expect.any(String), description: expect.any(String) });
    expect(annotations['runbook_url']).toBe(`docs/monitoring.md#${alert.toLowerCase()}`);
    expect(headings).toContain(alert);
  }
  expect(headings.filter((heading) => !alerts.some(({ alert }) => alert === heading))).toEqual([]);
});

test('alerts ask for metrics that exist', () => {
  const names = new Set(Object.keys(metricList));
  for (const { expr } of alerts)
    for (const [name] of expr.matchAll(/\bdailies_\w+/g))
      expect(names).toContain(name.replace(/_(?:bucket|count|sum)$/, ''));
});
