import { nearestNames } from './catalog/spelling.ts';
import { variables as allVariables, type Variables } from './config-variables.ts';
import { partRules, realPartNames } from './config-part-rules.ts';
import type { Role } from './config.ts';

/** What the rules between variables look at. */
export interface RuleInput {
  /** What was set, unread. */
  readonly given: Readonly<Record<string, string>>;
  /** Names whose own value is already a mistake; their defaults stand in `variables`. */
  readonly wrong: ReadonlySet<PropertyKey>;
  readonly variables: Variables;
  readonly role: Role;
}

export type Rule = (input: RuleInput) => readonly string[];

/** Every broken rule, one line each, beginning with the variable to change. */
export function findBrokenRules(input: RuleInput): readonly string[] {
  return rules.flatMap((rule) => rule(input));
}

/** What is legal but deserves a word at start. */
export function findOddities(input: RuleInput): readonly string[] {
  return oddities.flatMap((oddity) => oddity(input));
}

const credentialNames = ['KLING_API_KEY', 'KLING_ACCESS_KEY', 'KLING_SECRET_KEY'] as const;

/** Something real was switched on, so that pretend videos would be a mistake. */
function realParts({ given, role }: RuleInput): readonly string[] {
  const parts = realPartNames(given);
  return role === 'serve' ? parts : [...parts, `the role ${role}`];
}

function hasCredentials({ given }: RuleInput): boolean {
  return credentialNames.some((name) => name in given);
}

/** Only these talk to Kling; the others never need its keys. */
function talksToKling(role: Role): boolean {
  return role === 'serve' || role === 'worker';
}

const rules: readonly Rule[] = [
  ...partRules,

  (input) => {
    const { given, role, variables } = input;
    if (!talksToKling(role) || hasCredentials(input)) return [];
    const keys = 'set KLING_API_KEY, or KLING_ACCESS_KEY and KLING_SECRET_KEY';
    if (variables.KLING_PROVIDER === 'kling') return [`KLING_API_KEY is missing for KLING_PROVIDER=kling: ${keys}.`];
    const parts = realParts(input);
    if (parts.length === 0 || 'KLING_PROVIDER' in given) return [];
    return [
      `KLING_API_KEY is missing although ${parts.join(', ')} is real: ${keys}, ` +
        'or say KLING_PROVIDER=sandbox for pretend videos.',
    ];
  },

  ({ given }) => {
    if ('KLING_ACCESS_KEY' in given === 'KLING_SECRET_KEY' in given) return [];
    const [missing, present] =
      'KLING_ACCESS_KEY' in given ? ['KLING_SECRET_KEY', 'KLING_ACCESS_KEY'] : ['KLING_ACCESS_KEY', 'KLING_SECRET_KEY'];
    return [`${missing} is missing: ${present} is set, and both belong together.`];
  },

  ({ given, variables }) =>
    variables.KLING_GENERATION === 'standard' && 'KLING_ACCESS_KEY' in given && !('KLING_API_KEY' in given)
      ? ['KLING_GENERATION is standard, which needs KLING_API_KEY: an access key reaches only the legacy generation.']
      : [],

  ({ given, variables, wrong }) =>
    variables.KLING_PROVIDER === 'sandbox' && 'KLING_BASE_URL' in given && !wrong.has('KLING_BASE_URL')
      ? ['KLING_BASE_URL has no place with KLING_PROVIDER=sandbox; name a sandbox that runs elsewhere by SANDBOX_URL.']
      : [],

  (input) => {
    const { given, variables, wrong } = input;
    const kling = variables.KLING_PROVIDER === 'kling' || (!('KLING_PROVIDER' in given) && hasCredentials(input));
    return kling && 'SANDBOX_URL' in given && !wrong.has('SANDBOX_URL')
      ? ['SANDBOX_URL has no place beside Kling; say KLING_PROVIDER=sandbox, or leave it out.']
      : [];
  },

  ({ given, role, variables }) =>
    role === 'worker' && variables.KLING_PROVIDER === 'sandbox' && !('SANDBOX_URL' in given)
      ? ['SANDBOX_URL is needed by the role worker with KLING_PROVIDER=sandbox: run `dailies sandbox` and name it.']
      : [],

  ({ variables: { KLING_CALLBACK_URL: url, WEBHOOK_URL: alias } }) =>
    url !== null && alias !== null && url !== alias
      ? ['WEBHOOK_URL is an alias of KLING_CALLBACK_URL, and they differ; leave one out.']
      : [],

  ({ variables, wrong, role }) => {
    if (role !== 'serve') return [];
    const ports = (['PORT', 'CALLBACKS_PORT', 'SANDBOX_PORT'] as const).filter((name) => !wrong.has(name));
    return ports.flatMap((name, index) => {
      const same = ports.slice(0, index).find((earlier) => variables[earlier] === variables[name]);
      return same && variables[name] !== 0 ? [`${name} is the same port as ${same}; choose another.`] : [];
    });
  },

  ({ variables: { KLING_POST_TIMEOUT: post, LEASE_MS: lease }, wrong }) =>
    post < lease || wrong.has('KLING_POST_TIMEOUT') || wrong.has('LEASE_MS')
      ? []
      : [`KLING_POST_TIMEOUT (${post} ms) must be below LEASE_MS (${lease} ms), or two workers could send one create.`],

  ({ variables: { ARCHIVE_RETRY_BASE: base, ARCHIVE_RETRY_CAP: cap } }) =>
    base <= cap ? [] : [`ARCHIVE_RETRY_BASE (${base} ms) must not be above ARCHIVE_RETRY_CAP (${cap} ms).`],
];

const oddities: readonly Rule[] = [
  (input) =>
    talksToKling(input.role) && usesKling(input) && !input.variables.KLING_CALLBACK_URL && !input.variables.WEBHOOK_URL
      ? ['KLING_CALLBACK_URL is not set: Kling cannot call back, so videos are found by polling only.']
      : [],

  (input) =>
    usesKling(input) && input.variables.BUDGET_CREDITS === null
      ? ['BUDGET_CREDITS is not set: a new budget is limited to 100 credits. Raise it with `PUT /api/budget`.']
      : [],

  ({ given }) => {
    const known = Object.keys(allVariables);
    const ours = /^(KLING|SANDBOX|ARCHIVE|POLL|BUDGET|DATABASE|REDIS|SQS|PUBSUB|S3|GCS|CDN)_/;
    return Object.keys(given)
      .filter((name) => ours.test(name) && !known.includes(name))
      .flatMap((name) => nearestNames(name, known).map((near) => `${name} is not a variable; did you mean ${near}?`));
  },
];

function usesKling(input: RuleInput): boolean {
  const { KLING_PROVIDER: said } = input.variables;
  return said === null ? hasCredentials(input) : said === 'kling';
}
