import type { DeadLetterKind } from '@dailies/sdk';
import type { Command } from 'commander';
import { exitCodes } from '../exit-codes.ts';
import { deadLetterLines } from '../render/dead-letter-lines.ts';
import type { AddAction } from './action.ts';
import { toLimit } from './limit.ts';

interface ListOptions {
  readonly limit: number;
  readonly cursor?: string;
}

export function addDeadLetterCommands(program: Command, action: AddAction): void {
  const letters = program.command('dead-letters').description('work that failed again and again, or was given up');

  const list = letters
    .command('list', { isDefault: true })
    .description('every dead letter, newest first, and what can be done')
    .option('-l, --limit <number>', 'dead letters per page, 1 to 100', toLimit, 20)
    .option('--cursor <cursor>', 'go on where an earlier page ended');
  action<[], ListOptions>(list, async ({ dailies, printer, program: name }, _, options) => {
    const page = await dailies.deadLetters.list(options).page();
    printer.json(page);
    for (const line of deadLetterLines(page.data, Date.now())) printer.line(line);
    if (page.next_cursor !== null) printer.line(`More: ${name} dead-letters --cursor ${page.next_cursor}`);
    return exitCodes.ok;
  });

  const replay = letters
    .command('replay <kind> <id>')
    .description('do its work again at once; nothing is bought twice');
  action<[string, string]>(replay, async ({ dailies, printer }, [kind, id]) => {
    const letter = await dailies.deadLetters.replay(toKind(kind), id);
    printer.json(letter);
    printer.line(`${kind} ${id} is replayed: ${letter.replay_hint}`);
    return exitCodes.ok;
  });

  const dismiss = letters.command('dismiss <kind> <id>').description('remove one that needs nothing more');
  action<[string, string]>(dismiss, async ({ dailies, printer }, [kind, id]) => {
    await dailies.deadLetters.dismiss(toKind(kind), id);
    printer.json({ dismissed: { kind, id } });
    printer.line(`${kind} ${id} dismissed`);
    return exitCodes.ok;
  });
}

function toKind(kind: string): DeadLetterKind {
  return kind as DeadLetterKind; // the server names a wrong one
}
