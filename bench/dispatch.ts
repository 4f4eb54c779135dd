/** What a start and a create cost behind a long backlog, against a short one, on PostgreSQL: the best batch of several. */
import { sql } from 'kysely';
import { openDatabase, type Database } from '../packages/server/src/db/database.ts';
import { migrate } from '../packages/server/src/db/migrate.ts';
import { Secret } from '../packages/server/src/kernel/secret.ts';
import { dispatchFamily } from '../packages/server/src/videos/dispatch.ts';
import { openCore } from '../packages/server/test/support/core.ts';
import type { Bench, BenchOptions } from './report.ts';
import { withDatabase } from './surroundings.ts';

const batch = 100;
const batches = 6;
const shortBacklog = 1_000;

interface Costs {
  readonly createMs: number;
  readonly startMs: number;
}

export const dispatch: Bench = async ({ database, long }: BenchOptions) => {
  if (database === null) return [];
  const longBacklog = long ? 1_000_000 : 100_000;
  const few = await withDatabase(database, (url) => costsBehind(url, shortBacklog));
  const many = await withDatabase(database, (url) => costsBehind(url, longBacklog));
  const ratio = (what: keyof Costs) => ({ value: many[what] / few[what], unit: '', target: { atMost: 1.5 } });
  return [
    { what: `a start, ${shortBacklog} queued`, value: few.startMs, unit: 'ms' },
    { what: `a start, ${longBacklog} queued`, value: many.startMs, unit: 'ms' },
    { what: 'a start: ratio', ...ratio('startMs') },
    { what: `a create, ${shortBacklog} queued`, value: few.createMs, unit: 'ms' },
    { what: `a create, ${longBacklog} queued`, value: many.createMs, unit: 'ms' },
    { what: 'a create: ratio', ...ratio('createMs') },
  ];
};

async function costsBehind(url: string, backlog: number): Promise<Costs> {
  const database = await openDatabase({ driver: 'postgres', url: new Secret(url), maxConnections: 4 });
  try {
    await migrate(database);
    const core = await openCore(database, { slots: batch });
    try {
      const id = await core.create();
      await queueCopies(database, id, backlog);
      const family = core.asked[0];
      if (family === undefined) throw new Error('the create asked for no dispatch');
      const creates: number[] = [];
      const starts: number[] = [];
      for (let round = 0; round < batches; round++) {
        creates.push(await timed(() => createSome(core)));
        // Slots come back without the ends of tasks, which are not what is measured.
        await database.kysely.updateTable('pools').set({ in_use: 0 }).execute();
        starts.push(await timed(async () => void (await dispatchFamily(core.context, family))));
      }
      return { createMs: Math.min(...creates) / batch, startMs: Math.min(...starts) / batch };
    } finally {
      await core.close();
    }
  } finally {
    await database.close();
  }
}

async function createSome(core: Awaited<ReturnType<typeof openCore>>): Promise<void> {
  for (let index = 0; index < batch; index++) await core.create();
}

async function timed(work: () => Promise<void>): Promise<number> {
  const begun = performance.now();
  await work();
  return performance.now() - begun;
}

/** A backlog like one that was created, without the wait for as many commits. */
async function queueCopies({ kysely }: Database, id: string, copies: number): Promise<void> {
  const { rows } = await sql<{ name: string }>`
    select column_name as name from information_schema.columns
    where table_name = 'videos' and table_schema = current_schema() and is_generated = 'NEVER'
      and column_name not in ('id', 'accepted_at')`.execute(kysely);
  const columns = sql.join(rows.map((row) => sql.ref(row.name)));
  await sql`
    insert into videos (id, accepted_at, ${columns})
    select id || '-' || number, accepted_at + number * interval '1 millisecond', ${columns}
    from videos, generate_series(1, ${copies}::int) number where id = ${id}`.execute(kysely);
  await sql`update flows set queued = queued + ${copies}, queued_slot_ms = queued_slot_ms * ${copies + 1}`.execute(
    kysely,
  );
  await sql`analyze videos`.execute(kysely);
}
