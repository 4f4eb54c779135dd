import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { sql } from 'kysely';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { openDatabase, type Database, type PostgresOptions } from '../../packages/server/src/db/database.ts';
import { CommitUnknownError, isConnectionFailure } from '../../packages/server/src/db/connection-failure.ts';
import { inTransaction } from '../../packages/server/src/db/transaction.ts';
import { Secret } from '../../packages/server/src/kernel/secret.ts';
import { startFaultProxy } from '../servers/fault-proxy.ts';
import {
  createTestAuthority,
  missingPostgres,
  startPostgres,
  type PostgresServer,
  type TestAuthority,
} from '../servers/postgres.ts';
import { tempFolder, type TempFolder } from '../servers/spawn.ts';

const missing = missingPostgres();

async function connect(url: string, options: Partial<PostgresOptions> = {}): Promise<Database> {
  const database = await openDatabase({ driver: 'postgres', url: new Secret(url), maxConnections: 2, ...options });
  onTestFinished(() => database.close());
  return database;
}

async function isEncrypted({ kysely }: Database): Promise<boolean | undefined> {
  const { rows } = await sql<{ ssl: boolean }>`select ssl from pg_stat_ssl where pid = pg_backend_pid()`.execute(
    kysely,
  );
  return rows[0]?.ssl;
}

describe.skipIf(missing)(`a PostgreSQL server that asks for TLS${missing ? ` (${missing})` : ''}`, () => {
  let authority: TestAuthority;
  let server: PostgresServer;
  let folder: TempFolder;
  let caFile: string;
  beforeAll(async () => {
    authority = await createTestAuthority();
    server = await startPostgres({ tls: await authority.issue(['DNS:localhost']), password: 'secret-word' });
    folder = await tempFolder('ca-file');
    caFile = join(folder.path, 'ca.pem');
    await writeFile(caFile, authority.certificate);
  });
  afterAll(async () => {
    await server.stop();
    await authority.remove();
    await folder.remove();
  });

  test('verify with its authority and its name connects, encrypted', async () => {
    const url = server.url.replace('127.0.0.1', 'localhost');
    expect(await isEncrypted(await connect(url, { tls: 'verify', caFile }))).toBe(true);
    // A file alone means verify, and sslmode of the URL is overruled.
    expect(await isEncrypted(await connect(`${url}?sslmode=disable`, { caFile }))).toBe(true);
  });

  test('verify refuses an unknown authority, and a certificate of another name', async () => {
    const url = server.url.replace('127.0.0.1', 'localhost');
    await expect(connect(url, { tls: 'verify' })).rejects.toThrow(/self-signed|unable to/);
    const other = await createTestAuthority();
    const otherFile = join(folder.path, 'other.pem');
    await writeFile(otherFile, other.certificate);
    await other.remove();
    await expect(connect(url, { tls: 'verify', caFile: otherFile })).rejects.toThrow(/self-signed|unable to/);
    await expect(connect(server.url, { tls: 'verify', caFile })).rejects.toThrow(/IP|altnames/);
  });

  test('require encrypts whoever answers; off is refused by this server, without the password in the text', async () => {
    expect(await isEncrypted(await connect(server.url, { tls: 'require' }))).toBe(true);
    const refused = connect(`${server.url}?sslmode=require`, { tls: 'off' });
    await expect(refused).rejects.toThrow(/no encryption/);
    await refused.catch((error: Error) => expect(`${error.message} ${error.stack}`).not.toContain('secret-word'));
  });

  test('a missing file of certificates is named with its variable', async () => {
    await expect(connect(server.url, { caFile: '/nowhere/ca.pem' })).rejects.toThrow(/DATABASE_CA_FILE.*nowhere/);
  });
});

describe.skipIf(missing)(`connections to PostgreSQL${missing ? ` (${missing})` : ''}`, () => {
  let server: PostgresServer;
  beforeAll(async () => {
    server = await startPostgres();
  });
  afterAll(() => server.stop());

  test('a statement is ended after its time, and the connection goes on', async () => {
    const database = await connect(server.url, { statementTimeoutMs: 200, maxConnections: 1 });
    const slow = sql`select pg_sleep(30)`.execute(database.kysely);
    await expect(slow).rejects.toThrow(/statement timeout/);
    await slow.catch((error: unknown) => expect(isConnectionFailure(error)).toBe(true));
    await sql`select 1`.execute(database.kysely);
  });

  test('without a time a statement may take as long as it likes', async () => {
    const database = await connect(server.url, { statementTimeoutMs: 0 });
    const { rows } = await sql<{
      value: string;
    }>`select setting as value from pg_settings where name = 'statement_timeout'`.execute(database.kysely);
    expect(rows).toEqual([{ value: '0' }]);
  });

  test('a server that fell silent is given up shortly after the statement time, and found again', async () => {
    const proxy = await startFaultProxy({ port: server.port });
    onTestFinished(() => proxy.stop());
    const url = server.url.replace(`:${server.port}/`, `:${proxy.port}/`);
    const database = await connect(url, { statementTimeoutMs: 300, connectTimeoutMs: 500, maxConnections: 2 });
    proxy.blackHole();
    const begun = performance.now();
    const lost = await sql`select 1`.execute(database.kysely).catch((error: unknown) => error);
    expect(isConnectionFailure(lost)).toBe(true);
    expect(performance.now() - begun).toBeLessThan(20_000);
    // And a new connection is not waited for longer than its own time.
    expect(isConnectionFailure(await sql`select 1`.execute(database.kysely).catch((error: unknown) => error))).toBe(
      true,
    );
    proxy.mend();
    await expect
      .poll(
        () =>
          sql`select 1`.execute(database.kysely).then(
            () => true,
            () => false,
          ),
        { timeout: 60_000 },
      )
      .toBe(true);
  });

  test('a commit whose answer is lost is told apart from work that was surely rolled back', async () => {
    const proxy = await startFaultProxy({ port: server.port });
    onTestFinished(() => proxy.stop());
    const url = server.url.replace(`:${server.port}/`, `:${proxy.port}/`);
    const database = await connect(url, { statementTimeoutMs: 300, connectTimeoutMs: 1_000 });
    const lost = inTransaction(database, async ({ trx }) => {
      await sql`create table kept_or_not (one int)`.execute(trx);
      proxy.blackHole();
    });
    await expect(lost).rejects.toThrow(CommitUnknownError);
    proxy.mend();
    const broken = inTransaction(database, async ({ trx }) => {
      proxy.cut();
      await sql`create table never (one int)`.execute(trx);
    }).catch((error: unknown) => error);
    const error = await broken;
    expect(isConnectionFailure(error)).toBe(true);
    expect(error).not.toBeInstanceOf(CommitUnknownError);
  });

  test('cut connections, a refusal and a restart of the server need no restart of ours', async () => {
    const proxy = await startFaultProxy({ port: server.port });
    onTestFinished(() => proxy.stop());
    const database = await connect(server.url.replace(`:${server.port}/`, `:${proxy.port}/`), {
      connectTimeoutMs: 2_000,
    });
    const ask = (): Promise<boolean> =>
      sql`select 1`.execute(database.kysely).then(
        () => true,
        () => false,
      );
    proxy.cut();
    await expect.poll(ask, { timeout: 60_000 }).toBe(true);
    proxy.refuse();
    proxy.cut();
    const refused = await sql`select 1`.execute(database.kysely).catch((error: unknown) => error);
    expect(isConnectionFailure(refused)).toBe(true);
    proxy.mend();
    await expect.poll(ask, { timeout: 60_000 }).toBe(true);
    await server.halt();
    expect(isConnectionFailure(await sql`select 1`.execute(database.kysely).catch((error: unknown) => error))).toBe(
      true,
    );
    await server.resume();
    await expect.poll(ask, { timeout: 60_000 }).toBe(true);
  });
});
