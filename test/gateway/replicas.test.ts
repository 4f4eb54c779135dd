import { randomUUID } from 'node:crypto';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startDailies, runDailies, addressOf, type Running } from '../roles/dailies.ts';
import { missingNginx, startNginx, type NginxServer } from '../servers/nginx.ts';
import { createPostgresDatabase, reachablePostgres, type EmptyDatabase } from '../servers/postgres.ts';
import { eventually, freePorts, tempFolder, type TempFolder } from '../servers/spawn.ts';

const serverUrl = await reachablePostgres();
const reason = missingNginx() ?? (serverUrl === null ? 'no PostgreSQL answers' : null);

const key = `dls_${'g'.repeat(43)}`;
const authorization = `Bearer ${key}`;
let database: EmptyDatabase;
let folder: TempFolder;
let gateway: NginxServer;
let ports: number[];
let env: Record<string, string>;
const apis: Running[] = [];
let receiver: Running | undefined;
/** The replica that outlives the first test. */
let survivor: Running;

async function startApi(port: number | undefined): Promise<Running> {
  const api = startDailies(['api'], { ...env, PORT: String(port) });
  apis.push(api);
  await addressOf(api);
  return api;
}

beforeAll(async () => {
  if (reason !== null) return;
  database = await createPostgresDatabase(serverUrl ?? '');
  folder = await tempFolder('gateway');
  const [first = 0, second = 0, callbacksPort = 0] = await freePorts(3);
  ports = [first, second];
  gateway = await startNginx({ apiPorts: ports, callbacksPort });
  env = {
    DATABASE_URL: database.url,
    DATA_DIR: folder.path,
    KLING_PROVIDER: 'sandbox',
    PUBLIC_URL: gateway.url,
    METRICS_PORT: '0',
    BUDGET_CREDITS: 'unlimited',
  };
  const migrated = await runDailies(['migrate'], { DATABASE_URL: database.url, DAILIES_API_KEY: key });
  expect(migrated).toMatchObject({ code: 0 });
  receiver = startDailies(['callbacks'], { ...env, CALLBACKS_PORT: String(callbacksPort) });
  await addressOf(receiver);
});

afterAll(async () => {
  await Promise.all(apis.map((api) => api.stop()));
  await receiver?.stop();
  await gateway?.stop();
  await folder?.remove();
  await database?.drop();
});

async function create(idempotencyKey: string): Promise<{ status: number; id: string }> {
  const answer = await fetch(`${gateway.url}/api/videos`, {
    method: 'POST',
    headers: { authorization, 'content-type': 'application/json', 'idempotency-key': idempotencyKey },
    body: JSON.stringify({ prompt: 'a fox in the snow', metadata: { client: idempotencyKey } }),
  });
  const { id = '' } = (await answer.json()) as { id?: string };
  return { status: answer.status, id };
}

async function storedVideos(): Promise<readonly { id: string; client: string }[]> {
  const client = new pg.Client({ connectionString: database.url });
  await client.connect();
  try {
    const { rows } = await client.query<{ id: string; client: string }>(
      `select id, metadata->>'client' as client from videos`,
    );
    return rows;
  } finally {
    await client.end();
  }
}

interface Reader {
  readonly lines: string[];
  readonly ended: Promise<void>;
  leave(): void;
}

/** Reads events as a browser does. */
async function readEvents(lastEventId?: string): Promise<Reader> {
  const leaving = new AbortController();
  const headers = { authorization, accept: 'text/event-stream', ...(lastEventId && { 'last-event-id': lastEventId }) };
  const answer = await fetch(`${gateway.url}/api/events`, { headers, signal: leaving.signal });
  expect(answer.status).toBe(200);
  const lines: string[] = [];
  const read = async (): Promise<void> => {
    let rest = '';
    for await (const chunk of answer.body ?? []) {
      const parts = (rest + Buffer.from(chunk).toString()).split('\n');
      rest = parts.pop() ?? '';
      lines.push(...parts);
    }
  };
  return { lines, ended: read().catch(() => {}), leave: () => leaving.abort() };
}

describe.skipIf(reason !== null)(`two replicas behind the gateway${reason === null ? '' : ` (${reason})`}`, () => {
  test('when one is killed under a load of creates, each is answered with 202 and stored exactly once', async () => {
    const [first, second] = await Promise.all([startApi(ports[0]), startApi(ports[1])]);
    survivor = second;
    const count = 400;
    const keys = Array.from({ length: count }, () => randomUUID());
    const waiting = [...keys];
    const answers = new Map<string, { status: number; id: string }>();
    const client = async (): Promise<void> => {
      for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
        answers.set(next, await create(next));
        if (answers.size === 100) first.signal('SIGKILL');
      }
    };
    await Promise.all(Array.from({ length: 24 }, client));
    await first.ended;

    expect([...answers.values()].filter(({ status }) => status !== 202)).toEqual([]);
    const stored = await storedVideos();
    expect(stored).toHaveLength(count);
    const byClient = new Map(stored.map(({ id, client: name }) => [name, id]));
    expect(keys.filter((name) => byClient.get(name) !== answers.get(name)?.id)).toEqual([]);
    // Some were with the replica when it died, and were sent again: the test met what it is about.
    const twice = (await gateway.readLog()).split('\n').filter((line) => /"POST".*"upstream":"[\d.:]+, /.test(line));
    expect(twice.length).toBeGreaterThan(0);
  });

  test('an event comes promptly, and a reader whose replica dies goes on at another one without a gap', async () => {
    const reader = await readEvents();
    await eventually('the stream has begun', () => reader.lines.some((line) => line.startsWith('retry:')));
    const { id } = await create(randomUUID());
    const answeredMs = performance.now();
    await eventually('its event', () => reader.lines.some((line) => line.includes(id)));
    // Events wait for older transactions of the whole server, so a busy one takes some of this.
    expect(performance.now() - answeredMs).toBeLessThan(10_000);
    const lastEventId = reader.lines.findLast((line) => line.startsWith('id: '))?.slice(4);

    // The one that holds the stream is the only one; now another comes, and it goes.
    await startApi(ports[0]);
    survivor.signal('SIGKILL');
    await reader.ended;
    const idempotencyKey = randomUUID();
    // The new one may still count as failed for 2 s; until then the answer is 503 with Retry-After.
    const missed = await eventually('a create at the new one', async () => {
      const answer = await create(idempotencyKey);
      return answer.status === 202 && answer;
    });
    const again = await readEvents(lastEventId);
    await eventually('the event that came meanwhile', () => again.lines.some((line) => line.includes(missed.id)));
    expect(again.lines.some((line) => line.includes(id))).toBe(false);
    again.leave();
    await again.ended;
  });

  test('calls from Kling reach the receiver, also while no replica of the api runs', async () => {
    await Promise.all(apis.map((api) => api.stop()));
    const answer = await fetch(`${gateway.url}/callbacks/kling/att_unknown/proof`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: '{"task_id":"1"}',
    });
    // The receiver's own refusal, not the gateway's problem document.
    expect(answer.status).toBe(404);
    expect(answer.headers.get('content-type') ?? '').not.toContain('problem');
    expect((await fetch(`${gateway.url}/api/videos`, { headers: { authorization } })).status).toBe(503);
  });
});
