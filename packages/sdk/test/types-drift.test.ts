import { existsSync, readFileSync } from 'node:fs';
import { expect, test } from 'vitest';

const document = new URL('../../../docs/openapi.json', import.meta.url);
const types = readFileSync(new URL('../src/types.ts', import.meta.url), 'utf8');

/** Our interface -> the name of its schema in the OpenAPI document. */
const pairs = {
  Video: 'Video',
  VideoFile: 'VideoFile',
  VideoError: 'VideoError',
  VideoLinks: 'VideoLinks',
  VideoEvent: 'VideoEvent',
  VideoPage: 'VideoPage',
  QueueEstimate: 'Queue',
  Cost: 'Cost',
  Warning: 'Warning',
  Estimate: 'Estimate',
  Receipt: 'Receipt',
  Budget: 'Budget',
  Model: 'Model',
  Webhook: 'Webhook',
  CreateWebhook: 'CreateWebhook',
  UpdateWebhook: 'UpdateWebhook',
  Delivery: 'Delivery',
  DeliveryTry: 'DeliveryTry',
  DeliveryPage: 'DeliveryPage',
  DeadLetter: 'DeadLetter',
  DeadLetterPage: 'DeadLetterPage',
};

function fieldsOf(name: string): string[] {
  const body = new RegExp(`export interface ${name} \\{\\n(.*?)\\n\\}`, 's').exec(types)?.[1] ?? '';
  return [...body.matchAll(/^ {2}readonly (\w+)\??:/gm)].map((match) => match[1] ?? '').toSorted();
}

test.skipIf(!existsSync(document))('the types name exactly the fields of the published OpenAPI document', () => {
  const { components } = JSON.parse(readFileSync(document, 'utf8')) as {
    components: { schemas: Record<string, { properties?: Record<string, unknown> }> };
  };
  const published = (schema: string) => Object.keys(components.schemas[schema]?.properties ?? {}).toSorted();
  const ours = Object.keys(pairs).map((name) => [name, fieldsOf(name)]);
  const theirs = Object.entries(pairs).map(([name, schema]) => [name, published(schema)]);
  expect(Object.fromEntries(ours)).toEqual(Object.fromEntries(theirs));
});
