import type { Rule, RuleInput } from './config-rules.ts';

/** Parts outside of this process. Any of them makes pretend videos a mistake unless they are asked for. */
const partNames = [
  'DATABASE_URL',
  'REDIS_URL',
  'SQS_QUEUE_PREFIX',
  'PUBSUB_TOPIC_PREFIX',
  'S3_BUCKET',
  'GCS_BUCKET',
  'CDN_URL',
] as const;

export function realPartNames(given: RuleInput['given']): readonly string[] {
  return partNames.filter((name) => name in given);
}

/** A variable that does nothing without another one. */
const companions: readonly (readonly [name: string, needs: string])[] = [
  ['SQS_ENDPOINT', 'SQS_QUEUE_PREFIX'],
  ['PUBSUB_EMULATOR_HOST', 'PUBSUB_TOPIC_PREFIX'],
  ['REDIS_PREFIX', 'REDIS_URL'],
  ...['S3_PREFIX', 'S3_ENDPOINT', 'S3_PATH_STYLE', 'S3_CHECKSUMS', 'S3_ENCRYPTION', 'S3_ACCESS_KEY_ID'].map(
    (name) => [name, 'S3_BUCKET'] as const,
  ),
  ['S3_LINK_ENDPOINT', 'S3_ENDPOINT'],
  ['S3_SECRET_ACCESS_KEY', 'S3_ACCESS_KEY_ID'],
  ['S3_ACCESS_KEY_ID', 'S3_SECRET_ACCESS_KEY'],
  ...['GCS_PREFIX', 'GCS_ENDPOINT'].map((name) => [name, 'GCS_BUCKET'] as const),
  ...['DATABASE_TLS', 'DATABASE_CA_FILE', 'DATABASE_CONNECTIONS'].map((name) => [name, 'DATABASE_URL'] as const),
];

/** What each delivery must be told, in the order in which it is asked for. */
const cdnNeeds = {
  own: [],
  cloudfront: [['CDN_URL'], ['CDN_KEY_ID'], ['CDN_PRIVATE_KEY', 'CDN_PRIVATE_KEY_FILE']],
  cloudcdn: [['CDN_URL'], ['CDN_KEY_ID'], ['CDN_KEY']],
} as const satisfies Record<string, readonly (readonly string[])[]>;

const engineNeeds = { redis: 'REDIS_URL', sqs: 'SQS_QUEUE_PREFIX', pubsub: 'PUBSUB_TOPIC_PREFIX' } as const;

export const partRules: readonly Rule[] = [
  ({ given, role }) => {
    if (role === 'serve') return [];
    const missing: string[] = [];
    if (!('DATABASE_URL' in given)) {
      missing.push(
        `DATABASE_URL is needed by the role ${role}: processes share a PostgreSQL database. Use serve for one process.`,
      );
    }
    if (role !== 'callbacks' && !('S3_BUCKET' in given) && !('GCS_BUCKET' in given) && !('DATA_DIR' in given)) {
      missing.push(
        `DATA_DIR is needed by the role ${role} without S3_BUCKET or GCS_BUCKET: name the folder that all processes share.`,
      );
    }
    return missing;
  },

  ({ given }) =>
    companions
      .filter(([name, needs]) => name in given && !(needs in given))
      .map(([name, needs]) => `${name} does nothing without ${needs}; set both, or leave it out.`),

  ({ given }) =>
    'S3_BUCKET' in given && 'GCS_BUCKET' in given
      ? ['GCS_BUCKET and S3_BUCKET are both set: videos are stored in one place; leave one out.']
      : [],

  ({ given }) =>
    'SQS_QUEUE_PREFIX' in given && 'PUBSUB_TOPIC_PREFIX' in given && !('QUEUE_ENGINE' in given)
      ? [
          'QUEUE_ENGINE is needed: SQS_QUEUE_PREFIX and PUBSUB_TOPIC_PREFIX are both set, and one engine carries the messages.',
        ]
      : [],

  ({ given, variables: { QUEUE_ENGINE: engine } }) => {
    if (engine === null || engine === 'postgres' || engineNeeds[engine] in given) return [];
    return [`${engineNeeds[engine]} is needed by QUEUE_ENGINE=${engine}.`];
  },

  ({ given, variables, wrong }) => {
    const usesSqs = variables.QUEUE_ENGINE === 'sqs' || (!('QUEUE_ENGINE' in given) && 'SQS_QUEUE_PREFIX' in given);
    const needing = [
      ...(usesSqs ? ['SQS_QUEUE_PREFIX'] : []),
      ...('S3_BUCKET' in given && !('S3_ENDPOINT' in given) ? ['S3_BUCKET'] : []),
    ];
    return needing.length > 0 && !('AWS_REGION' in given) && !wrong.has('AWS_REGION')
      ? [`AWS_REGION is needed by ${needing.join(' and ')}.`]
      : [];
  },

  ({ variables: { S3_ENCRYPTION: encryption }, given }) =>
    'S3_KMS_KEY_ID' in given && encryption !== 'aws:kms'
      ? ['S3_KMS_KEY_ID does nothing without S3_ENCRYPTION=aws:kms; set both, or leave it out.']
      : [],

  ({ given, variables: { CDN_DRIVER: driver }, wrong }) => {
    if (wrong.has('CDN_DRIVER')) return [];
    const needs = cdnNeeds[driver];
    const missing = needs.flatMap((names) =>
      names.some((name) => name in given) ? [] : [`${names.join(' or ')} is needed by CDN_DRIVER=${driver}.`],
    );
    const taken = new Set<string>(needs.flat());
    const stray = ['CDN_URL', 'CDN_KEY_ID', 'CDN_PRIVATE_KEY', 'CDN_PRIVATE_KEY_FILE', 'CDN_KEY'].filter(
      (name) => name in given && !taken.has(name),
    );
    return [...missing, ...stray.map((name) => `${name} has no place with CDN_DRIVER=${driver}; leave it out.`)];
  },

  ({ given }) =>
    'CDN_PRIVATE_KEY' in given && 'CDN_PRIVATE_KEY_FILE' in given
      ? ['CDN_PRIVATE_KEY_FILE and CDN_PRIVATE_KEY are both set; leave one out.']
      : [],

  ({ given, variables: { CDN_DRIVER: driver } }) =>
    driver !== 'own' && !('S3_BUCKET' in given) && !('GCS_BUCKET' in given)
      ? [`S3_BUCKET or GCS_BUCKET is needed by CDN_DRIVER=${driver}: the bucket is its origin.`]
      : [],

  ({ given, variables: { CDN_OWN_LINKS: links, CDN_DRIVER: driver } }) => {
    if (links === 'api') return [];
    if (driver !== 'own') return [`CDN_OWN_LINKS has no place with CDN_DRIVER=${driver}; leave it out.`];
    return 'S3_BUCKET' in given || 'GCS_BUCKET' in given
      ? []
      : ['CDN_OWN_LINKS=storage needs S3_BUCKET or GCS_BUCKET: a folder has no links of its own.'];
  },

  ({ variables: { CDN_DRIVER: driver, CDN_KEY: key }, wrong }) => {
    if (driver !== 'cloudcdn' || key === null || wrong.has('CDN_KEY')) return [];
    const isKey = /^[A-Za-z0-9_-]{22}(==)?$/.test(key.reveal());
    return isKey ? [] : ['CDN_KEY must be 16 bytes in base64url, as `gcloud compute sign-url` takes it.'];
  },
];
