import type { Platform } from './compose.ts';
import type { Config } from './config.ts';

/** What `serve` prints when it is ready: addresses, folder, provider, and a first request ready to paste. */
export function describeStart(config: Config, platform: Platform): string[] {
  const { urls } = platform;
  const database = config.database.driver === 'pglite' ? 'embedded (PGlite)' : 'PostgreSQL';
  return [
    '',
    `  Dailies is ready    ${urls.api}   (reference: ${urls.api}/docs)`,
    `  callbacks           ${urls.callbacks}`,
    `  metrics             ${urls.metrics}/metrics`,
    `  provider            ${describeProvider(config, platform)}`,
    `  database            ${database}`,
    `  data folder         ${config.dataDirectory}`,
    `  API key             ${config.dataDirectory}/api-key`,
    '',
    '  First request:',
    `  curl -X POST ${urls.api}/api/videos -H "Authorization: Bearer $(cat ${quoted(`${config.dataDirectory}/api-key`)})" -H 'Content-Type: application/json' -d '{"prompt": "a red fox running through fresh snow"}'`,
    '',
  ];
}

/** One line for a single role. */
export function describePart(config: Config, platform: Platform): string {
  const address = platform.urls.api ?? platform.urls.callbacks;
  return `Dailies ${config.role} is ready${address === null ? '' : ` on ${address}`}, provider ${config.provider}, metrics on ${platform.urls.metrics}.`;
}

function describeProvider(config: Config, platform: Platform): string {
  if (config.provider === 'kling') return `Kling at ${config.account.host ?? ''}: every video costs real money`;
  return `sandbox at ${platform.urls.sandbox ?? config.account.host ?? ''}: pretend videos, nothing is paid`;
}

function quoted(path: string): string {
  return /^[\w./-]+$/.test(path) ? path : `'${path.replaceAll("'", String.raw`'\''`)}'`;
}
