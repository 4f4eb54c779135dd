/** Everything in one database brought into another, whatever its tables are. */
import { sql, type Transaction } from 'kysely';
import type { Tables } from './tables.ts';

export interface TableCount {
  readonly table: string;
  readonly rows: number;
}

interface Column {
  readonly name: string;
  /** As SQL writes it, such as `numeric(20,6)`. */
  readonly type: string;
  readonly isIdentity: boolean;
}

const rowsAtOnce = 500;
/** Each database has its own. */
const ownTables: ReadonlySet<string> = new Set(['schema_migrations', 'schema_migrations_lock']);
/** Rows that refer to earlier rows of their own table. */
const orders: Readonly<Record<string, string>> = { videos: 'accepted_at, id' };

/** Tables with something in them; the clock always has its row. */
export async function listFilledTables(trx: Transaction<Tables>): Promise<string[]> {
  const filled: string[] = [];
  for (const table of await listTables(trx)) {
    if (table !== 'clock' && (await countRows(trx, table)) > 0) filled.push(table);
  }
  return filled;
}

/** Nobody reads or writes the tables until the transaction ends. */
export async function lockTables(trx: Transaction<Tables>): Promise<void> {
  const tables = (await listTables(trx)).map((table) => sql.table(table));
  await sql`lock table ${sql.join(tables)} in access exclusive mode`.execute(trx);
}

/**
 * Copies every row of every table, referred ones first; both sides have the same schema. Values travel as text, which loses nothing.
 * @returns what was copied, counted on the target and equal to the source
 * @throws Error naming a table whose counts differ
 */
export async function copyTables(source: Transaction<Tables>, target: Transaction<Tables>): Promise<TableCount[]> {
  const counts: TableCount[] = [];
  for (const table of await listTables(source)) {
    if (table === 'clock') await target.deleteFrom('clock').execute();
    const columns = await listColumns(source, table);
    await copyRows(source, target, table, columns);
    for (const column of columns.filter(({ isIdentity }) => isIdentity)) await goOnCounting(target, table, column.name);
    const [before, rows] = [await countRows(source, table), await countRows(target, table)];
    if (before !== rows) throw new Error(`The table ${table} has ${before} rows, but ${rows} of them arrived.`);
    counts.push({ table, rows });
  }
  return counts;
}

/** Events of later transactions of the target's cluster get numbers above those that were copied. */
export async function goOnAfterEvents(target: Transaction<Tables>): Promise<void> {
  await sql`update clock set xid_offset = (
    select greatest(0, coalesce(max(xid::text::bigint), 0) + 1 - pg_current_xact_id()::text::bigint) from events)`.execute(
    target,
  );
}

async function copyRows(
  source: Transaction<Tables>,
  target: Transaction<Tables>,
  table: string,
  columns: readonly Column[],
): Promise<void> {
  const names = columns.map(({ name }) => sql.ref(name));
  const texts = columns.map(({ name }) => sql`${sql.ref(name)}::text as ${sql.ref(name)}`);
  const order = orders[table];
  const ordered = order === undefined ? sql`` : sql`order by ${sql.raw(order)}`;
  await sql`declare moved cursor for select ${sql.join(texts)} from ${sql.table(table)} ${ordered}`.execute(source);
  for (;;) {
    const { rows } = await sql<Record<string, string | null>>`fetch ${sql.lit(rowsAtOnce)} from moved`.execute(source);
    if (rows.length === 0) break;
    const values = columns.map(({ name }) => sql`${sql.val(rows.map((row) => row[name] ?? null))}::text[]`);
    const typed = columns.map(({ name, type }) => sql`${sql.ref(name)}::${sql.raw(type)}`);
    await sql`insert into ${sql.table(table)} (${sql.join(names)}) overriding system value
      select ${sql.join(typed)} from unnest(${sql.join(values)}) as moved (${sql.join(names)})`.execute(target);
  }
  await sql`close moved`.execute(source);
}

async function goOnCounting(trx: Transaction<Tables>, table: string, column: string): Promise<void> {
  await sql`select setval(pg_get_serial_sequence(${table}, ${column}), max(${sql.ref(column)})) from ${sql.table(table)}
    having max(${sql.ref(column)}) is not null`.execute(trx);
}

async function countRows(trx: Transaction<Tables>, table: string): Promise<number> {
  const { rows } = await sql<{ count: number }>`select count(*)::int as count from ${sql.table(table)}`.execute(trx);
  return rows[0]?.count ?? 0;
}

/** Our tables, each after those that it refers to. */
async function listTables(trx: Transaction<Tables>): Promise<string[]> {
  const tables = await sql<{ name: string }>`
    select relname as name from pg_class
    where relkind = 'r' and relnamespace = current_schema()::regnamespace order by relname`.execute(trx);
  const references = await sql<{ from: string; to: string }>`
    select source.relname as "from", target.relname as "to" from pg_constraint constraints
    join pg_class source on source.oid = constraints.conrelid join pg_class target on target.oid = constraints.confrelid
    where constraints.contype = 'f' and source.oid <> target.oid
      and source.relnamespace = current_schema()::regnamespace`.execute(trx);
  const ordered: string[] = [];
  const visit = (name: string): void => {
    if (ordered.includes(name) || ownTables.has(name)) return;
    for (const { from, to } of references.rows) if (from === name) visit(to);
    ordered.push(name);
  };
  for (const { name } of tables.rows) visit(name);
  return ordered;
}

/** Those that hold a value of their own. */
async function listColumns(trx: Transaction<Tables>, table: string): Promise<Column[]> {
  const { rows } = await sql<Column>`
    select attname as name, format_type(atttypid, atttypmod) as type, attidentity <> '' as "isIdentity" from pg_attribute
    where attrelid = ${table}::regclass and attnum > 0 and not attisdropped and attgenerated = ''
    order by attnum`.execute(trx);
  return rows;
}
