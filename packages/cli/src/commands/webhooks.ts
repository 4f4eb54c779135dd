import { setTimeout as delay } from 'node:timers/promises';
import type { CreateWebhook, Delivery, DeliveryFilter, DeliveryStatus, WebhookEventType } from '@dailies/sdk';
import type { Command } from 'commander';
import { exitCodes, type ExitCode } from '../exit-codes.ts';
import { deliveryTable, lastWords, webhookTable } from '../render/webhook-lines.ts';
import type { Session } from '../session.ts';
import type { AddAction } from './action.ts';
import { toLimit } from './limit.ts';

interface AddOptions {
  readonly events?: string;
  readonly description?: string;
}

interface LogOptions {
  readonly video?: string;
  readonly status?: string;
  readonly limit: number;
  readonly cursor?: string;
}

/** How long a test is watched: a receiver has 10 s to answer. */
const testWaitMs = 20_000;
const lookEveryMs = 200;

export function addWebhookCommands(program: Command, action: AddAction): void {
  const webhooks = program.command('webhooks').description('addresses that are told of every final video');

  action<[]>(webhooks.command('list').description('every webhook and how it does'), async ({ dailies, printer }) => {
    const data = await dailies.webhooks.list();
    printer.json({ data });
    for (const line of webhookTable(data, Date.now(), printer.columns)) printer.line(line);
    return exitCodes.ok;
  });

  const add = webhooks
    .command('add <url>')
    .description('tell this address; prints the secret, once')
    .option('-e, --events <types>', 'only these, separated by commas: completed,failed,canceled,file_stored')
    .option('-d, --description <text>', 'for people');
  action<[string], AddOptions>(add, async ({ dailies, printer }, [url], options) => {
    const made = await dailies.webhooks.create(toWebhook(url, options));
    printer.json(made);
    printer.line(`${made.id} ${made.url}`);
    printer.line(`secret  ${made.secret}`);
    printer.line('The secret is shown only now: give it to the receiver, which verifies with it.');
    return exitCodes.ok;
  });

  const remove = webhooks.command('remove <id>').description('tell it nothing more');
  action<[string]>(remove, async ({ dailies, printer }, [id]) => {
    await dailies.webhooks.delete(id);
    printer.json({ removed: id });
    printer.line(`${id} removed`);
    return exitCodes.ok;
  });

  const enable = webhooks.command('enable <id>').description('tell it again, after it was disabled');
  action<[string]>(enable, async ({ dailies, printer }, [id]) => {
    const webhook = await dailies.webhooks.update(id, { disabled: false });
    printer.json(webhook);
    printer.line(`${id} enabled`);
    return exitCodes.ok;
  });

  const rotate = webhooks.command('rotate <id>').description('a new secret; for a day the old one signs too');
  action<[string]>(rotate, async ({ dailies, printer }, [id]) => {
    const webhook = await dailies.webhooks.rotateSecret(id);
    printer.json(webhook);
    printer.line(`secret  ${webhook.secret}`);
    printer.line('The secret is shown only now. For a day everything is signed with the old one too.');
    return exitCodes.ok;
  });

  const test = webhooks.command('test <id>').description('send webhook.test now, and say how that went');
  action<[string]>(test, async (session, [id]) => report(session, await session.dailies.webhooks.test(id)));

  const log = webhooks
    .command('deliveries [id]')
    .description('what was sent, newest first: to one webhook, or to anybody')
    .option('--video <id>', 'only what told of this video')
    .option('-s, --status <status>', 'pending, delivered or failed')
    .option('-l, --limit <number>', 'deliveries per page, 1 to 100', toLimit, 20)
    .option('--cursor <cursor>', 'go on where an earlier page ended');
  action<[string | undefined], LogOptions>(log, listDeliveries);

  const redeliver = webhooks.command('redeliver <id>').description('send an ended delivery again, under its old id');
  action<[string]>(redeliver, async ({ dailies, printer }, [id]) => {
    const delivery = await dailies.webhooks.redeliver(id);
    printer.json(delivery);
    printer.line(`${id} is being sent again`);
    return exitCodes.ok;
  });
}

function toWebhook(url: string, { events, description }: AddOptions): CreateWebhook {
  const types = events?.split(',').map((word) => (word.includes('.') ? word.trim() : `video.${word.trim()}`));
  return {
    url,
    ...(types && { event_types: types as WebhookEventType[] }), // the server names wrong ones
    ...(description !== undefined && { description }),
  };
}

/** Waits for the one try of a test. */
async function report({ dailies, printer }: Session, ordered: Delivery): Promise<ExitCode> {
  const deadline = performance.now() + testWaitMs;
  let delivery = ordered;
  while (delivery.status === 'pending' && performance.now() < deadline) {
    await delay(lookEveryMs);
    delivery = await dailies.webhooks.getDelivery(ordered.id);
  }
  printer.json(delivery);
  printer.line(`${delivery.id} ${delivery.status}: ${lastWords(delivery, Date.now())}`);
  return delivery.status === 'delivered' ? exitCodes.ok : exitCodes.failed;
}

async function listDeliveries(
  session: Session,
  [webhook]: readonly [string | undefined],
  { video, status, limit, cursor }: LogOptions,
): Promise<ExitCode> {
  const filter: DeliveryFilter = {
    limit,
    ...(webhook !== undefined && { webhook }),
    ...(video !== undefined && { video }),
    ...(status !== undefined && { status: status as DeliveryStatus }), // the server names a wrong one
    ...(cursor !== undefined && { cursor }),
  };
  const { printer } = session;
  const page = await session.dailies.webhooks.deliveries(filter).page();
  printer.json(page);
  for (const line of deliveryTable(page.data, Date.now(), printer.columns)) printer.line(line);
  if (page.next_cursor !== null) {
    const same = webhook === undefined ? '' : ` ${webhook}`;
    printer.line(`More: ${session.program} webhooks deliveries${same} --cursor ${page.next_cursor}`);
  }
  return exitCodes.ok;
}
