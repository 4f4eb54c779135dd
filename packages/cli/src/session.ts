import { createDailies, type Dailies } from '@dailies/sdk';
import type { Connection } from './connection.ts';
import type { Io } from './io.ts';
import { createPrinter, type Printer } from './printer.ts';

/** What a command that talks to a server gets. */
export interface Session {
  readonly dailies: Dailies;
  readonly io: Io;
  readonly printer: Printer;
  readonly asJson: boolean;
  /** How a person starts this program here, for hints. */
  readonly program: string;
}

/** A person who waits would rather hear within a second that nobody is there. */
const patience = { maxRetries: 2, retryBaseMs: 200 };

export function createSession(connection: Connection, io: Io, asJson: boolean): Session {
  return {
    dailies: createDailies({
      url: connection.url,
      ...(connection.apiKey === undefined ? {} : { apiKey: connection.apiKey }),
      userAgent: 'dailies-cli',
      ...patience,
    }),
    io,
    printer: createPrinter(io, asJson),
    asJson,
    program: programName(io),
  };
}

/** Inside an npm script (or npx) `dailies` is on the path of that script only. */
export function programName(io: Pick<Io, 'env'>): string {
  return io.env['npm_lifecycle_event'] === undefined ? 'dailies' : 'npx dailies';
}
