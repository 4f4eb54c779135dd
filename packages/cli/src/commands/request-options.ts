import { readFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import type { CreateVideo } from '@dailies/sdk';
import { InvalidArgumentError, Option, type Command } from 'commander';
import { CommandError } from '../command-error.ts';
import { exitCodes } from '../exit-codes.ts';

export interface RequestOptions {
  readonly model?: string;
  readonly mode?: string;
  readonly duration?: string;
  readonly ratio?: string;
  readonly sound?: boolean;
  readonly negative?: string;
  readonly cfgScale?: number;
  readonly watermark?: boolean;
  readonly priority?: number;
  readonly startBefore?: string;
  readonly webhookUrl?: string;
  readonly metadata?: Readonly<Record<string, string>>;
  readonly from?: string;
}

/** The options that describe a video, the same for `generate` and `estimate`. */
export function addRequestOptions(command: Command): Command {
  return command
    .option('-m, --model <model>', 'model id or alias (see: dailies models)')
    .option('--mode <mode>', 'std, pro or 4k, as far as the model has it')
    .option('-d, --duration <seconds>', 'length in seconds')
    .option('-r, --ratio <ratio>', 'aspect ratio: 16:9, 9:16 or 1:1')
    .option('--sound', 'with a sound track')
    .option('--no-sound', 'without a sound track')
    .addOption(new Option('-n, --negative <prompt>', 'what the video should not show'))
    .option('--cfg-scale <number>', 'how closely to follow the prompt, 0 to 1 (Kling 1.x)', toNumber)
    .option('--watermark', 'also make a watermarked variant')
    .option('--priority <number>', 'higher starts earlier among your own videos', toNumber)
    .option('--start-before <time>', 'fail, free of charge, when it could not start by then (RFC 3339)')
    .option('--webhook-url <url>', 'called when the video has ended')
    .option('--metadata <key=value>', 'your own text, kept with the video; may be repeated', addPair)
    .option('--from <file>', 'JSON file with the request (shots, camera_control, ...); other options win over it');
}

/** The request body; what was not said is left to the server. @throws CommandError for an unreadable `--from` file */
export async function requestBody(
  prompt: string | undefined,
  options: RequestOptions,
  cwd: string,
): Promise<CreateVideo> {
  const said = {
    prompt,
    model: options.model,
    mode: options.mode,
    duration: options.duration,
    aspect_ratio: options.ratio,
    sound: options.sound,
    negative_prompt: options.negative,
    cfg_scale: options.cfgScale,
    watermark: options.watermark,
    priority: options.priority,
    start_before: options.startBefore,
    webhook_url: options.webhookUrl,
    metadata: options.metadata,
  };
  const body = {
    ...(options.from === undefined ? {} : await readRequest(resolve(cwd, options.from))),
    ...Object.fromEntries(Object.entries(said).filter(([, value]) => value !== undefined)),
  };
  if (Object.keys(body).length > 0) return body;
  throw new CommandError(
    'usage',
    'say what the video shows: dailies generate "a red fox in the snow"',
    exitCodes.usage,
  );
}

async function readRequest(file: string): Promise<object> {
  try {
    const parsed: unknown = JSON.parse(await readFile(file, 'utf8'));
    if (typeof parsed === 'object' && parsed !== null && !Array.isArray(parsed)) return parsed;
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new CommandError('usage', `cannot read the request in ${file}: ${reason}`, exitCodes.usage);
  }
  throw new CommandError('usage', `${file} must hold a JSON object such as {"prompt": "..."}`, exitCodes.usage);
}

/** Collects repeated `key=value`; the value may hold further `=`. */
export function addPair(text: string, pairs: Readonly<Record<string, string>> = {}): Record<string, string> {
  const equals = text.indexOf('=');
  if (equals < 1) throw new InvalidArgumentError('Write it as key=value.');
  return { ...pairs, [text.slice(0, equals)]: text.slice(equals + 1) };
}

export function toNumber(text: string): number {
  const number = Number(text);
  if (text.trim() === '' || !Number.isFinite(number)) throw new InvalidArgumentError('It must be a number.');
  return number;
}
