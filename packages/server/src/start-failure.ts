import { reasonOf } from './compose-wait.ts';
import type { Config } from './config.ts';
import { isPortTaken } from './listen-address.ts';

/**
 * What a person reads when the server could not start. Taken ports are named, all at once, with the variables that change them; a part that
 * cannot be reached with its own; everything else says what could not be opened.
 */
export async function explainStartFailure(error: Error, config: Config): Promise<string> {
  const { code, port } = error as { code?: unknown; port?: unknown }; // what Node puts on a network error
  const what = code === 'EADDRINUSE' ? await describeTakenPorts(Number(port), config) : reasonOf(error);
  return `Dailies could not start: ${what}`;
}

async function describeTakenPorts(failed: number, { role, http, sandbox, metrics }: Config): Promise<string> {
  const { host } = http;
  const everything = [
    { variable: 'PORT', host, port: http.port, isUsed: role === 'serve' || role === 'api' },
    { variable: 'CALLBACKS_PORT', host, port: http.callbacksPort, isUsed: role === 'serve' || role === 'callbacks' },
    // Another one will do for the metrics when none was given.
    { variable: 'METRICS_PORT', host, port: metrics.port, isUsed: !metrics.mayGiveWay },
    { variable: 'SANDBOX_PORT', host: '127.0.0.1', port: sandbox?.port ?? 0, isUsed: sandbox !== null },
  ];
  const checked = await Promise.all(
    everything.map(async (one) => ({
      ...one,
      isTaken: one.isUsed && one.port !== 0 && (one.port === failed || (await isPortTaken(one.host, one.port))),
    })),
  );
  const taken = checked.filter(({ isTaken }) => isTaken);
  if (taken.length === 0) return `port ${failed} is taken.`;
  const change = taken.map(({ variable, port }) => `${variable}=${port + 100}`).join(' ');
  if (taken.length === 1)
    return `port ${failed} is taken. Set ${taken[0]?.variable} to another one, for example ${change}.`;
  const ports = taken.map(({ port }) => port).join(', ');
  return `ports ${ports} are taken. Set ${taken.map(({ variable }) => variable).join(', ')} to others, for example ${change}.`;
}
