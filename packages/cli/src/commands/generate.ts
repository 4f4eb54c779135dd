import type { Estimate } from '@dailies/sdk';
import type { Command } from 'commander';
import { CommandError } from '../command-error.ts';
import { exitCodes, type ExitCode } from '../exit-codes.ts';
import { creditWords, madeAs, price, queueWords } from '../render/words.ts';
import type { Session } from '../session.ts';
import { follow } from './follow.ts';
import type { AddAction } from './action.ts';
import { addRequestOptions, requestBody, toNumber, type RequestOptions } from './request-options.ts';

interface GenerateOptions extends RequestOptions {
  readonly output?: string;
  readonly download: boolean;
  readonly wait: boolean;
  readonly yes?: boolean;
  readonly maxCredits?: number;
}

export function addGenerate(program: Command, action: AddAction): void {
  const command = program
    .command('generate [prompt]')
    .description('make a video: shows the price, follows it, downloads the file')
    .option('-o, --output <file>', 'file or folder to write (default: ./<id>.mp4)')
    .option('--no-download', 'leave the file where it is')
    .option('--no-wait', 'return as soon as the video is accepted')
    .option('-y, --yes', 'do not ask before real credits are spent')
    .option('--max-credits <number>', 'refuse when the price is above this', toNumber);
  action<[string | undefined], GenerateOptions>(addRequestOptions(command), generate);
}

export function addEstimate(program: Command, action: AddAction): void {
  const command = program.command('estimate [prompt]').description('price, queue position and times; nothing is spent');
  action<[string | undefined], RequestOptions>(addRequestOptions(command), async (session, [prompt], options) => {
    const estimate = await session.dailies.videos.estimate(await requestBody(prompt, options, session.io.cwd));
    session.printer.json(estimate);
    for (const line of estimateLines(estimate, Date.now())) session.printer.line(line);
    return exitCodes.ok;
  });
}

async function generate(
  session: Session,
  [prompt]: readonly [string | undefined],
  options: GenerateOptions,
): Promise<ExitCode> {
  const { dailies, printer, io } = session;
  const body = await requestBody(prompt, options, io.cwd);
  const estimate = await dailies.videos.estimate(body);
  for (const line of estimateLines(estimate, Date.now())) printer.line(line);
  await agree(session, estimate, options);
  const video = await dailies.videos.create(body);
  printer.line(video.id);
  if (!options.wait) {
    printer.json(video);
    printer.line(`Watch it: ${session.program} watch ${video.id}`);
    return exitCodes.ok;
  }
  const download = options.download ? { output: options.output } : null;
  return follow(session, video.id, { download, everyChange: false });
}

/** @throws CommandError when the price is above `--max-credits`, or the person says no */
async function agree(session: Session, estimate: Estimate, options: GenerateOptions): Promise<void> {
  const { estimated_credits: credits } = estimate;
  if (options.maxCredits !== undefined && credits > options.maxCredits) {
    const message = `the price is ${creditWords(credits)}, above --max-credits ${String(options.maxCredits)}; nothing was spent`;
    throw new CommandError('above_max_credits', message, exitCodes.overBudget);
  }
  const ask = session.io.interactive && !session.asJson && !options.yes && estimate.provider === 'kling';
  if (ask && !(await session.io.confirm(`Spend ${price(credits, estimate.estimated_cost)}?`))) {
    throw new CommandError('declined', 'nothing was spent', exitCodes.failed);
  }
}

/** What a video would cost and when it would be ready. */
export function estimateLines(estimate: Estimate, nowMs: number): string[] {
  const left = estimate.available_credits;
  const budget = left === null ? '' : `; ${creditWords(left)} left${estimate.within_budget ? '' : ': NOT ENOUGH'}`;
  const queue = queueWords(estimate.queue, nowMs);
  return [
    `${madeAs(estimate)}: ${price(estimate.estimated_credits, estimate.estimated_cost)}${budget}`,
    ...(estimate.provider === 'sandbox' ? ['The provider is the sandbox: nothing real is spent.'] : []),
    ...(queue ? [`Queue: ${queue}`] : []),
    ...estimate.warnings.map((warning) => `Note: ${warning.message}`),
  ];
}
