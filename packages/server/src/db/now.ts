import { sql, type RawBuilder } from 'kysely';

/**
 * The one clock of stored times: the database's, plus an offset that is zero outside tests. It goes on during a
 * transaction, so take it once per move where two columns must agree.
 */
export const databaseNow = sql<Date>`dailies_now()`;

/** That many milliseconds from now, on the same clock. */
export function databaseNowPlus(ms: number): RawBuilder<Date> {
  return sql<Date>`dailies_now() + ${ms} * interval '1 millisecond'`;
}
