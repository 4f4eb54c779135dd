import { createServer, type AddressInfo, type Server } from 'node:net';
import { expect, onTestFinished, test } from 'vitest';
import { readConfig } from './config.ts';
import { choosePort } from './listen-address.ts';
import { explainStartFailure } from './start-failure.ts';

async function takePort(): Promise<number> {
  const server: Server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => void server.close());
  return (server.address() as AddressInfo).port;
}

test('every taken port is named at once, each with the variable that changes it', async () => {
  const [api, sandbox] = [await takePort(), await takePort()];
  const callbacks = await choosePort('127.0.0.1', 0);
  const config = readConfig({ PORT: `${api}`, CALLBACKS_PORT: `${callbacks}`, SANDBOX_PORT: `${sandbox}` }, 'serve');
  const error = Object.assign(new Error('listen'), { code: 'EADDRINUSE', port: sandbox });
  expect(await explainStartFailure(error, config)).toBe(
    `Dailies could not start: ports ${api}, ${sandbox} are taken. Set PORT, SANDBOX_PORT to others, for example PORT=${api + 100} SANDBOX_PORT=${sandbox + 100}.`,
  );
});

test('a failure of several addresses of one name is told by the first', async () => {
  const config = readConfig({}, 'serve');
  const error = new AggregateError([
    new Error('connect ECONNREFUSED ::1:1'),
    new Error('connect ECONNREFUSED 127.0.0.1:1'),
  ]);
  expect(await explainStartFailure(error, config)).toBe('Dailies could not start: connect ECONNREFUSED ::1:1');
});
