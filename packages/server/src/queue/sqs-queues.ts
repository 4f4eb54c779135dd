import { isMissingQueue, type SqsClient } from './sqs-client.ts';
import { messageKinds } from './queue.ts';

/** Where the queues are. They are made when they are missing, also when somebody deletes them later. */
export interface SqsQueues {
  /** Finds or makes all of them. */
  ensure(): Promise<void>;
  /** Acts on the queue of that name, without the prefix; once more, with a new one, when it is gone. */
  using<T>(name: string, act: (url: string) => Promise<T>): Promise<T>;
}

export const deadSuffix = '-dead';

/**
 * Deliveries after which SQS gives a message up: the most that it allows. Crashes are counted in rows and end long before; this is
 * only reached when outcomes could not be recorded for hours, and waiting longer than a lease for each costs nobody anything.
 */
const maxReceives = 1_000;

/** What nobody took for a day is published again from its row if needed; dead letters stay as long as SQS keeps anything. */
const keptSeconds = 86_400;
const deadKeptSeconds = 14 * 86_400;

/** Queues that exist are left as their owner made them. */
export function createSqsQueues(
  client: SqsClient,
  { prefix, leaseSeconds }: { readonly prefix: string; readonly leaseSeconds: number },
): SqsQueues {
  let urls = new Map<string, string>();
  let ensuring: Promise<void> | undefined;

  async function findOrMake(name: string, attributes: () => Promise<Record<string, string>>): Promise<string> {
    const full = `${prefix}-${name}`;
    return (await client.findQueue(full)) ?? client.makeQueue(full, await attributes());
  }

  async function ensureAll(): Promise<void> {
    const found = new Map<string, string>();
    await Promise.all(
      messageKinds.map(async (kind) => {
        const dead = await findOrMake(`${kind}${deadSuffix}`, async () => ({
          MessageRetentionPeriod: String(deadKeptSeconds),
        }));
        const url = await findOrMake(kind, async () => ({
          VisibilityTimeout: String(leaseSeconds),
          MessageRetentionPeriod: String(keptSeconds),
          RedrivePolicy: JSON.stringify({
            deadLetterTargetArn: await client.arnOf(dead),
            maxReceiveCount: maxReceives,
          }),
        }));
        found.set(kind, url).set(`${kind}${deadSuffix}`, dead);
      }),
    );
    urls = found;
  }

  function ensure(): Promise<void> {
    ensuring ??= ensureAll().finally(() => {
      ensuring = undefined;
    });
    return ensuring;
  }

  function urlOf(name: string): string {
    const url = urls.get(name);
    if (url === undefined) throw new Error(`no queue was made for ${name}`);
    return url;
  }

  return {
    ensure,
    async using(name, act) {
      try {
        return await act(urlOf(name));
      } catch (error) {
        if (!isMissingQueue(error)) throw error;
        await ensure();
        return act(urlOf(name));
      }
    },
  };
}
