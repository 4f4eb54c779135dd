/**
 * The safety net: whatever is due in the database and is in nobody's hands is published again, so that an engine may lose
 * everything (docs/guarantees.md). The first publish of an attempt or a file comes with the move itself.
 */
import { sql, type Kysely, type RawBuilder } from 'kysely';
import type { Tables } from '../db/tables.ts';
import type { Message, Queue } from '../queue/queue.ts';
import { messageTables, unpublish } from '../videos/publish.ts';

const rowsAtOnce = 500;
type Kind = keyof typeof messageTables;

/** @param republishAfterMs since the last publish of a row, doubled for each one before. @returns messages published */
export async function republishDue(kysely: Kysely<Tables>, queue: Queue, republishAfterMs: number): Promise<number> {
  const unheard = sql<boolean>`(published_at is null or published_at
    <= dailies_now() - ${republishAfterMs} * power(2, least(publishes, 6)) * interval '1 millisecond')`;
  let published = 0;
  // Keys of a closed record.
  for (const kind of Object.keys(messageTables) as Kind[]) published += await publishRows(kysely, queue, kind, unheard);
  return published;
}

/**
 * The first publish of deliveries: a final state has many causes in every role, so it is looked for here, often and cheaply,
 * instead of being published by each of them. @returns messages published
 */
export async function publishNewDeliveries(kysely: Kysely<Tables>, queue: Queue): Promise<number> {
  return publishRows(kysely, queue, 'notify', sql<boolean>`published_at is null`);
}

async function publishRows(
  kysely: Kysely<Tables>,
  queue: Queue,
  kind: Kind,
  condition: RawBuilder<boolean>,
): Promise<number> {
  const table = messageTables[kind];
  const { rows } = await sql<{ id: string; workspace_id: string }>`
    update ${sql.table(table)} set published_at = dailies_now(), publishes = publishes + 1
    where id in (
      select id from ${sql.table(table)}
      where due_at <= dailies_now() and (lease_until is null or lease_until <= dailies_now()) and ${condition}
      order by due_at limit ${rowsAtOnce} for update skip locked)
    returning id, workspace_id`.execute(kysely);
  const messages: Message[] = rows.map((row) => ({ kind, id: row.id, workspaceId: row.workspace_id }));
  if (messages.length === 0) return 0;
  try {
    await queue.publish(messages);
  } catch (error) {
    await unpublish(kysely, messages);
    throw error;
  }
  return messages.length;
}

/** Milliseconds until the next row of any kind is due for its first publish; null when none waits for its time. */
export async function nextDueInMs(kysely: Kysely<Tables>): Promise<number | null> {
  const { rows } = await sql<{ wait_ms: number | null }>`
    select (extract(epoch from min(due_at) - dailies_now()) * 1000)::float8 as wait_ms from (
      select min(due_at) as due_at from attempts where due_at is not null and published_at is null
      union all select min(due_at) from files where due_at is not null and published_at is null
      union all select min(due_at) from deliveries where due_at is not null and published_at is null) due`.execute(
    kysely,
  );
  return rows[0]?.wait_ms ?? null;
}
