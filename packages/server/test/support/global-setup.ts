import { preparedTemplate } from '../../src/db/prepared.ts';
import { createTemplateDatabase } from './database.ts';

/** Makes once what every test database starts from; workers inherit the environment. */
export async function setup(): Promise<() => Promise<void>> {
  await preparedTemplate();
  const url = process.env['TEST_DATABASE_URL'];
  if (!url) return async () => {};
  const template = await createTemplateDatabase(url);
  process.env['DAILIES_TEST_TEMPLATE'] = template.name;
  return () => template.drop();
}
