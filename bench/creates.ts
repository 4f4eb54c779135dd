/**
 * Durable creates over HTTP (key, validation, price, hold, commit) by one api process, against bare inserts of one row on the same
 * server before and after. The slots are busy, so a backlog grows while it is measured.
 */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import pg from 'pg';
import { Agent, request } from 'undici';
import { serverReady, startChild } from '../packages/cli/src/child-process.ts';
import { closedLoop, type Pace } from './closed-loop.ts';
import type { Bench, BenchOptions, Figure } from './report.ts';
import { withDatabase, withFolder } from './surroundings.ts';

const clients = 16;
const seconds = 8;

export const creates: Bench = async ({ database }: BenchOptions) => {
  const embedded = await withFolder((folder) => throughServer(folder, null));
  const figures: Figure[] = [];
  if (database !== null) {
    figures.push(...(await withDatabase(database, (url) => withFolder((folder) => onPostgres(folder, url)))));
  }
  return [
    ...figures,
    { what: 'embedded: creates', value: embedded.perSecond, unit: '/s' },
    { what: 'embedded: p99', value: embedded.p99Ms, unit: 'ms' },
  ];
};

async function onPostgres(folder: string, url: string): Promise<Figure[]> {
  const before = await bareInserts(url);
  const made = await throughServer(folder, url);
  const after = await bareInserts(url);
  const bare = Math.max(before.perSecond, after.perSecond);
  return [
    { what: 'PostgreSQL: creates', value: made.perSecond, unit: '/s', target: { atLeast: 1_000 } },
    { what: 'PostgreSQL: p50', value: made.p50Ms, unit: 'ms' },
    { what: 'PostgreSQL: p99', value: made.p99Ms, unit: 'ms', target: { atMost: 50 } },
    { what: 'bare one-row inserts', value: bare, unit: '/s' },
    { what: 'creates per bare insert', value: made.perSecond / bare, unit: '' },
  ];
}

async function bareInserts(url: string): Promise<Pace> {
  const pool = new pg.Pool({ connectionString: url, max: clients });
  try {
    await pool.query('create schema if not exists bare');
    await pool.query('create table bare.rows (id bigserial primary key, body text not null)');
    return await closedLoop(clients, 2, () =>
      pool.query('insert into bare.rows (body) values ($1)', ['a red fox running through fresh snow']),
    );
  } finally {
    await pool.query('drop schema bare cascade');
    await pool.end();
  }
}

async function throughServer(folder: string, database: string | null): Promise<Pace> {
  const env = {
    DATA_DIR: join(folder, 'data'),
    PORT: '0',
    CALLBACKS_PORT: '0',
    SANDBOX_PORT: '0',
    // Tasks of minutes: every slot is busy from the first moment on.
    SANDBOX_SPEED: '0.1',
    KLING_PROVIDER: 'sandbox',
    LOG_LEVEL: 'warn',
    ...(database === null ? {} : { DATABASE_URL: database }),
  };
  const start = (role: string) =>
    startChild({ args: [role], env, logFile: join(folder, `${role}.log`), ready: serverReady, timeoutMs: 60_000 });
  let server = await start('serve');
  if (database !== null) {
    // `serve` made the schema, the key and the pools; what is measured is a process that only takes requests.
    await server.stop();
    server = await start('api');
  }
  const agent = new Agent({ connections: clients, pipelining: 1 });
  try {
    const key = (await readFile(join(env.DATA_DIR, 'api-key'), 'utf8')).trim();
    const headers = { authorization: `Bearer ${key}`, 'content-type': 'application/json' };
    const body = JSON.stringify({ prompt: 'a red fox running through fresh snow' });
    return await closedLoop(clients, seconds, async () => {
      const answer = await request(`${server.match[1]}/api/videos`, {
        method: 'POST',
        headers,
        body,
        dispatcher: agent,
      });
      await answer.body.dump();
      if (answer.statusCode !== 202) throw new Error(`a create was answered with ${answer.statusCode}`);
    });
  } finally {
    await agent.close();
    await server.stop();
  }
}
