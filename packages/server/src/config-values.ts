import { z } from 'zod';
import { findModel, nearestModels } from './catalog/models.ts';
import { credits, creditsToString } from './kernel/money.ts';
import { Secret } from './kernel/secret.ts';
import { isWebhookSecret } from './kernel/standard-webhooks.ts';

/** What the documentation says about a variable; docs/configuration.md and .env.example are made of it. */
export interface VariableDocument {
  readonly group: VariableGroup;
  /** What it does, in one or two sentences. */
  readonly help: string;
  /** What it takes. */
  readonly accepts: string;
  /** What holds when it is unset, as it would be written; null when there is nothing. */
  readonly fallback: string | null;
}

export const variableGroups = {
  server: 'Server',
  kling: 'Kling',
  sandbox: 'Sandbox',
  database: 'Database',
  queue: 'Queue engine and events',
  storage: 'Storage',
  cdn: 'Delivery (CDN)',
  videos: 'Videos and money',
  timers: 'Timers',
} as const;
export type VariableGroup = keyof typeof variableGroups;

export const variableDocuments = z.registry<VariableDocument>();

type Range = readonly [least: number, most: number];

export const klingHosts = {
  global: 'https://api-singapore.klingai.com',
  china: 'https://api-beijing.klingai.com',
} as const;

export function text(group: VariableGroup, fallback: string, accepts: string, help: string) {
  return documented(z.string().prefault(fallback), { group, help, accepts, fallback });
}

export function textOrUnset(group: VariableGroup, accepts: string, help: string) {
  return documented(z.string().nullable().default(null), { group, help, accepts, fallback: null });
}

/** What several installations on one engine are told apart by. */
export function prefix<Fallback extends string | null>(group: VariableGroup, fallback: Fallback, help: string) {
  const form = z.string().regex(/^[A-Za-z][A-Za-z0-9_-]{0,39}$/, {
    error: 'must begin with a letter and be up to 40 letters, digits, hyphens and underscores',
  });
  const schema = fallback === null ? form.nullable().default(null) : form.prefault(fallback);
  return documented(schema as z.ZodType<string | Fallback>, { group, help, accepts: 'name', fallback });
}

export function word<const Word extends string>(
  group: VariableGroup,
  words: readonly Word[],
  fallback: Word,
  help: string,
) {
  const schema = oneOf(words).prefault(fallback);
  return documented(schema, { group, help, accepts: wordsText(words), fallback });
}

export function wordOrUnset<const Word extends string>(group: VariableGroup, words: readonly Word[], help: string) {
  return documented(oneOf(words).nullable().default(null), { group, help, accepts: wordsText(words), fallback: null });
}

export function whole(group: VariableGroup, fallback: number, range: Range, unit: string, help: string) {
  const schema = number(range, unit, /^\d+$/, 'a whole number').prefault(String(fallback));
  return documented(schema, { group, help, accepts: rangeText(range, unit), fallback: String(fallback) });
}

export function wholeOrUnset(group: VariableGroup, range: Range, unit: string, help: string) {
  const schema = number(range, unit, /^\d+$/, 'a whole number').nullable().default(null);
  return documented(schema, { group, help, accepts: rangeText(range, unit), fallback: null });
}

export function decimal(group: VariableGroup, fallback: number, range: Range, unit: string, help: string) {
  const schema = number(range, unit, /^\d+(\.\d+)?$/, 'a number').prefault(String(fallback));
  return documented(schema, { group, help, accepts: rangeText(range, unit), fallback: String(fallback) });
}

export function milliseconds(group: VariableGroup, fallback: number, range: Range, help: string) {
  return whole(group, fallback, range, 'ms', help);
}

export function port(group: VariableGroup, fallback: number, help: string) {
  return whole(group, fallback, [0, 65_535], 'port', help);
}

/** Never shown in a mistake. */
export function secret(group: VariableGroup, help: string) {
  const schema = z
    .string()
    .transform((value) => new Secret(value))
    .nullable()
    .default(null);
  return documented(schema, { group, help, accepts: 'secret', fallback: null });
}

export function secrets(group: VariableGroup, help: string) {
  const parts = (value: string) => value.split(',').map((part) => part.trim());
  const schema = z
    .string()
    .refine((value) => parts(value).every(isWebhookSecret), {
      error:
        'must be `whsec_` followed by the base64 of at least 16 bytes, as the Kling console shows it; several with a comma between them',
    })
    .transform((value): readonly Secret[] => parts(value).map((part) => new Secret(part)))
    .default([]);
  return documented(schema, { group, help, accepts: 'secrets', fallback: null });
}

/** Without a slash at its end. */
export function url(group: VariableGroup, help: string) {
  const schema = webAddress('must be an http or https address').nullable().default(null);
  return documented(schema, { group, help, accepts: 'URL', fallback: null });
}

export function baseUrl(group: VariableGroup, help: string) {
  const rule = 'must be `global`, `china` or an http or https address without a path';
  const own = webAddress(rule).refine((value) => new URL(value).pathname === '/', { error: rule });
  const schema = z
    .string()
    .transform((value) => (value === 'global' || value === 'china' ? klingHosts[value] : value))
    .pipe(own)
    .nullable()
    .default(null);
  return documented(schema, { group, help, accepts: '`global` | `china` | URL', fallback: 'global' });
}

/** Its mistakes never show the value, which holds a password. */
export function databaseUrl(group: VariableGroup, help: string) {
  const schema = z
    .string()
    .refine((value) => URL.canParse(value) && /^postgres(ql)?:$/.test(new URL(value).protocol), {
      error: 'must look like postgres://user:password@host:5432/database; percent-encode special characters',
    })
    .transform((value) => new Secret(value))
    .nullable()
    .default(null);
  return documented(schema, { group, help, accepts: 'URL', fallback: null });
}

/** Several nodes of a cluster have a comma between them. Its mistakes never show the value, which may hold a password. */
export function redisUrls(group: VariableGroup, help: string) {
  const parts = (value: string) => value.split(',').map((part) => part.trim());
  const schema = z
    .string()
    .refine((value) => parts(value).every((part) => URL.canParse(part) && /^rediss?:$/.test(new URL(part).protocol)), {
      error: 'must look like redis://user:password@host:6379 or rediss://…; several nodes with a comma between them',
    })
    .transform((value): readonly Secret[] => parts(value).map((part) => new Secret(part)))
    .nullable()
    .default(null);
  return documented(schema, { group, help, accepts: 'URL', fallback: null });
}

/** A private key as text, as an environment file can hold it. */
export function pemText(group: VariableGroup, help: string) {
  const schema = z
    .string()
    .transform((value) => value.replaceAll(String.raw`\n`, '\n'))
    .refine((value) => /^-----BEGIN [A-Z ]*PRIVATE KEY-----\n/.test(value), {
      error: 'must be a private key in PEM, beginning with -----BEGIN',
    })
    .transform((value) => new Secret(value))
    .nullable()
    .default(null);
  return documented(schema, { group, help, accepts: 'secret', fallback: null });
}

export function accountId(group: VariableGroup, help: string) {
  const schema = z
    .string()
    .regex(/^[A-Za-z0-9][A-Za-z0-9_-]{0,39}$/, { error: 'must be up to 40 letters, digits, hyphens and underscores' })
    .prefault('default');
  return documented(schema, { group, help, accepts: 'name', fallback: 'default' });
}

export function model(group: VariableGroup, help: string) {
  const fallback = 'kling-2.6';
  const schema = z
    .string()
    .superRefine((value, context) => {
      if (findModel(value)) return;
      const near = nearestModels(value);
      const hint = near.length > 0 ? `did you mean ${orList(near)}?` : 'see `dailies models`';
      context.addIssue({ code: 'custom', message: `is not a known model; ${hint}` });
    })
    .transform((value) => findModel(value)?.id ?? value)
    .prefault(fallback);
  return documented(schema, { group, help, accepts: 'model', fallback });
}

/** An exact amount, `unlimited`, or null when unset: the default depends on the provider. */
export function budget(group: VariableGroup, help: string) {
  const schema = z
    .string()
    .regex(/^(unlimited|\d{1,12}(\.\d{1,6})?)$/, { error: 'must be credits such as 250 or 12.5, or `unlimited`' })
    .transform((value) => (value === 'unlimited' ? value : creditsToString(credits(value))))
    .nullable()
    .default(null);
  return documented(schema, { group, help, accepts: 'credits | `unlimited`', fallback: null });
}

function documented<Schema extends z.ZodType>(schema: Schema, document: VariableDocument): Schema {
  variableDocuments.add(schema, document);
  return schema;
}

function number([least, most]: Range, unit: string, form: RegExp, what: string) {
  const error = `must be ${what} from ${least} to ${most}${unit === 'port' ? '' : ` (${unit})`}`;
  return z
    .string()
    .refine((value) => form.test(value) && Number(value) >= least && Number(value) <= most, { error })
    .transform(Number);
}

function oneOf<const Word extends string>(words: readonly Word[]) {
  return z.string().transform((value, context) => {
    const found = words.find((each) => each === value);
    if (found !== undefined) return found;
    context.addIssue({ code: 'custom', message: `must be ${orList(words)}` });
    return z.NEVER;
  });
}

function wordsText(words: readonly string[]): string {
  return words.map((each) => `\`${each}\``).join(' | ');
}

function webAddress(error: string) {
  return z
    .string()
    .refine((value) => URL.canParse(value) && /^https?:$/.test(new URL(value).protocol), { error })
    .transform((value) => value.replace(/\/+$/, ''));
}

function rangeText([least, most]: Range, unit: string): string {
  return unit === 'port' ? 'port' : `${least} - ${most} ${unit}`;
}

function orList(words: readonly string[]): string {
  return words.length < 2 ? words.join('') : `${words.slice(0, -1).join(', ')} or ${words.at(-1)}`;
}
