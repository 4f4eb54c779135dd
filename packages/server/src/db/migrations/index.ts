import type { Migration } from 'kysely/migration';
import * as first from './0001-first.ts';
import * as notifications from './0002-notifications.ts';
import * as eventOrder from './0003-event-order.ts';

/** Every migration by name, in order. A released migration is never changed; a new one is added at the end. */
export const migrations: Readonly<Record<string, Migration>> = {
  '0001-first': first,
  '0002-notifications': notifications,
  '0003-event-order': eventOrder,
};
