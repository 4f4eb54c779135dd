import type { Budget, Model } from '@dailies/sdk';
import { InvalidArgumentError, type Command } from 'commander';
import { CommandError } from '../command-error.ts';
import { exitCodes } from '../exit-codes.ts';
import { table } from '../render/table.ts';
import { creditWords, price } from '../render/words.ts';
import type { AddAction } from './action.ts';

export function addAccountCommands(program: Command, action: AddAction): void {
  const models = program.command('models [model]').description('every model, or what one takes and costs');
  action<[string | undefined]>(models, async ({ dailies, printer }, [name]) => {
    const all = await dailies.models.list();
    const chosen = name === undefined ? undefined : findModel(all, name);
    printer.json(chosen ?? { data: all });
    for (const line of chosen ? modelLines(chosen) : modelTable(all, printer.columns)) printer.line(line);
    return exitCodes.ok;
  });

  const budget = program
    .command('budget')
    .description('limit, held and spent credits')
    .usage('[options] [set <credits>]');
  action(budget, async ({ dailies, printer }) => {
    const record = await dailies.budget.get();
    printer.json(record);
    for (const line of budgetLines(record)) printer.line(line);
    return exitCodes.ok;
  });
  const set = budget.command('set').argument('<credits>', 'the new limit, or none', toLimit);
  action<[{ limit: number | null }]>(set.description('change the limit'), async ({ dailies, printer }, [{ limit }]) => {
    const record = await dailies.budget.set(limit);
    printer.json(record);
    for (const line of budgetLines(record)) printer.line(line);
    return exitCodes.ok;
  });
}

function toLimit(text: string): { limit: number | null } {
  if (text === 'none' || text === 'unlimited') return { limit: null };
  const limit = Number(text);
  if (!/^\d+(\.\d{1,6})?$/.test(text) || !Number.isFinite(limit)) {
    throw new InvalidArgumentError('It must be a number of credits such as 200, or none.');
  }
  return { limit };
}

export function budgetLines(budget: Budget): string[] {
  const limit = budget.limit_credits === null ? 'none' : creditWords(budget.limit_credits);
  const left = budget.available_credits === null ? [] : [`left      ${creditWords(budget.available_credits)}`];
  return [
    `limit     ${limit}`,
    `held      ${creditWords(budget.held_credits)}`,
    `spent     ${creditWords(budget.captured_credits)}`,
    ...left,
  ];
}

function findModel(models: readonly Model[], name: string): Model {
  const found = models.find((model) => model.id === name || model.aliases.includes(name));
  if (found) return found;
  const message = `there is no model ${JSON.stringify(name)}; known: ${models.map((model) => model.id).join(', ')}`;
  throw new CommandError('not_found', message, exitCodes.notFound);
}

function modelTable(models: readonly Model[], columns: number): string[] {
  const rows = models.map((model) => [
    model.id,
    model.modes.map(({ mode }) => mode ?? '-').join(' '),
    spans(model.durations),
    model.aspect_ratios.join(' '),
    model.modes.some(({ sound }) => sound.includes(true)) ? 'yes' : 'no',
    fromPrice(model),
    notes(model),
  ]);
  return table(['MODEL', 'MODES', 'SECONDS', 'RATIOS', 'SOUND', 'FROM', 'NOTES'], rows, columns);
}

function modelLines(model: Model): string[] {
  const rows = model.prices.map((row) => [
    row.mode ?? '-',
    row.sound ? 'yes' : 'no',
    `${String(row.duration)} s`,
    price(row.credits, row.cost),
  ]);
  return [
    `${model.id}: ${model.title}${notes(model) && ` (${notes(model)})`}`,
    `also called  ${model.aliases.join(', ') || '-'}`,
    `ratios       ${model.aspect_ratios.join(', ')}`,
    `prompt       up to ${String(model.prompt_characters_max)} characters`,
    `takes        ${takes(model).join(', ') || 'prompt only'}`,
    '',
    ...table(['MODE', 'SOUND', 'LENGTH', 'PRICE'], rows, 80),
  ];
}

function takes(model: Model): string[] {
  return [
    ...(model.negative_prompt ? ['negative_prompt'] : []),
    ...(model.cfg_scale ? ['cfg_scale'] : []),
    ...(model.multi_shot.length > 0 ? [`multi_shot (${model.multi_shot.join(', ')})`] : []),
    ...(model.camera_control ? ['camera_control'] : []),
  ];
}

function notes(model: Model): string {
  return [
    ...(model.default ? ['default'] : []),
    ...(model.available ? [] : ['not available here']),
    ...(model.retired ? [`retired by Kling${model.successor === null ? '' : `, use ${model.successor}`}`] : []),
  ].join('; ');
}

function fromPrice(model: Model): string {
  return String(Math.min(...model.prices.map((row) => row.credits)));
}

/** `3-15` for a run, `5 10` else. */
function spans(durations: readonly number[]): string {
  const [first = 0] = durations;
  const last = durations.at(-1) ?? first;
  const isRun = durations.length > 2 && last - first === durations.length - 1;
  return isRun ? `${String(first)}-${String(last)}` : durations.join(' ');
}
