import { nameDatabase, nameQueue, nameStorage } from './compose-parts.ts';
import type { Platform } from './compose.ts';
import type { Config } from './config.ts';

/** What `serve` prints when it is ready: addresses, folder, provider, and a first request ready to paste. */
export function describeStart(config: Config, platform: Platform): string[] {
  const { urls } = platform;
  const database = config.database.driver === 'pglite' ? 'embedded (PGlite)' : nameDatabase(config.database);
  return [
    '',
    `  Dailies is ready    ${urls.api}   (reference: ${urls.api}/docs)`,
    `  callbacks           ${urls.callbacks}`,
    `  metrics             ${urls.metrics}/metrics`,
    `  provider            ${describeProvider(config, platform)}`,
    `  database            ${database}`,
    `  queue               ${nameQueue(config.queue)}`,
    `  files               ${nameStorage(config.storage)}, links ${describeLinks(config)}`,
    `  data folder         ${config.dataDirectory}`,
    `  API key             ${config.dataDirectory}/api-key`,
    '',
    '  First request:',
    `  curl -X POST ${urls.api}/api/videos -H "Authorization: Bearer $(cat ${quoted(`${config.dataDirectory}/api-key`)})" -H 'Content-Type: application/json' -d '{"prompt": "a red fox running through fresh snow"}'`,
    '',
  ];
}

/** One line for a single role: where it is, and all that it uses, without credentials. */
export function describePart(config: Config, platform: Platform): string {
  const { role } = config;
  const address = platform.urls.api ?? platform.urls.callbacks;
  const uses = [
    `provider ${config.provider}`,
    config.database.driver === 'postgres' ? nameDatabase(config.database) : 'the embedded database',
    nameQueue(config.queue),
    ...(role === 'callbacks' ? [] : [nameStorage(config.storage), `links ${describeLinks(config)}`]),
    `metrics on ${platform.urls.metrics}`,
  ];
  return `Dailies ${role} is ready${address === null ? '' : ` on ${address}`}, ${uses.join(', ')}.`;
}

function describeLinks({ cdn }: Config): string {
  if (cdn.driver !== 'own') return `to ${cdn.driver} at ${new URL(cdn.url).host}`;
  return cdn.links === 'storage' ? 'to the storage' : 'to the api';
}

function describeProvider(config: Config, platform: Platform): string {
  if (config.provider === 'kling') return `Kling at ${config.account.host ?? ''}: every video costs real money`;
  return `sandbox at ${platform.urls.sandbox ?? config.account.host ?? ''}: pretend videos, nothing is paid`;
}

function quoted(path: string): string {
  return /^[\w./-]+$/.test(path) ? path : `'${path.replaceAll("'", String.raw`'\''`)}'`;
}
