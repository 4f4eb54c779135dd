import type { Receipt, Video, VideoFilter, VideoStatus } from '@dailies/sdk';
import type { Command } from 'commander';
import { exitCodes, type ExitCode } from '../exit-codes.ts';
import { table } from '../render/table.ts';
import { videoLines } from '../render/video-lines.ts';
import { creditWords, span } from '../render/words.ts';
import type { Session } from '../session.ts';
import type { AddAction } from './action.ts';
import { follow } from './follow.ts';
import { toLimit } from './limit.ts';
import { addPair } from './request-options.ts';

interface ListOptions {
  readonly status?: string;
  readonly model?: string;
  readonly metadata?: Readonly<Record<string, string>>;
  readonly limit: number;
  readonly cursor?: string;
}

export function addVideoCommands(program: Command, action: AddAction): void {
  const ls = program
    .command('ls')
    .description('list videos, newest first')
    .option('-s, --status <states>', 'only these, separated by commas: queued,generating,completed,...')
    .option('-m, --model <model>', 'only this model')
    .option('--metadata <key=value>', 'only videos with this text; may be repeated', addPair)
    .option('-l, --limit <number>', 'videos per page, 1 to 100', toLimit, 20)
    .option('--cursor <cursor>', 'go on where an earlier page ended');
  action<[], ListOptions>(ls, list);

  action<[string]>(program.command('show <id>').description('one video: state, money, file, link'), show);

  const watch = program
    .command('watch <id>')
    .description('follow a video until it ends; with --json a line per change')
    .option('-o, --output <file>', 'then download it to this file or folder');
  action<[string], { output?: string }>(watch, async (session, [id], { output }) =>
    follow(session, id, { download: output === undefined ? null : { output }, everyChange: true }),
  );

  const cancel = program.command('cancel <id>').description('stop a video: free before it was sent to Kling');
  action<[string]>(cancel, async (session, [id]) => {
    const video = await session.dailies.videos.cancel(id);
    session.printer.json(video);
    session.printer.line(canceledWords(video));
    return exitCodes.ok;
  });

  const retry = program
    .command('retry <id>')
    .description('make a final video again, as a new one at the current price');
  action<[string]>(retry, async (session, [id]) => {
    const video = await session.dailies.videos.retry(id);
    session.printer.json(video);
    session.printer.line(`${video.id} ${video.status}, ${creditWords(video.estimated_credits)} held`);
    session.printer.line(`Watch it: ${session.program} watch ${video.id}`);
    return exitCodes.ok;
  });

  const remove = program.command('rm <id...>').description('delete the files of final videos; receipts stay');
  action<[string[]]>(remove, async (session, [ids]) => {
    for (const id of ids) {
      await session.dailies.videos.delete(id);
      session.printer.line(`${id} deleted`);
    }
    session.printer.json({ deleted: ids });
    return exitCodes.ok;
  });
}

async function list(session: Session, _: readonly [], options: ListOptions): Promise<ExitCode> {
  const { status, ...rest } = options;
  const states = status === undefined ? undefined : (status.split(',') as VideoStatus[]); // the server names wrong ones
  const filter: VideoFilter = {
    limit: rest.limit,
    ...(states && { status: states }),
    ...(rest.model !== undefined && { model: rest.model }),
    ...(rest.metadata && { metadata: rest.metadata }),
    ...(rest.cursor !== undefined && { cursor: rest.cursor }),
  };
  const page = await session.dailies.videos.list(filter).page();
  const { printer } = session;
  printer.json(page);
  for (const line of listLines(page.data, Date.now(), printer.columns)) printer.line(line);
  if (page.data.length === 0) printer.line('No videos.');
  if (page.next_cursor !== null) printer.line(`More: ${session.program} ls --cursor ${page.next_cursor}`);
  return exitCodes.ok;
}

/** One line for each; a narrow terminal gets fewer columns, never broken lines. */
export function listLines(videos: readonly Video[], nowMs: number, columns: number): string[] {
  if (videos.length === 0) return [];
  const isWide = columns >= 100;
  const rows = videos.map((video) => [
    video.id,
    video.status,
    ...(isWide ? [video.mode === null ? video.model : `${video.model} ${video.mode}`] : []),
    ...(isWide ? [`${String(video.duration)} s`] : []),
    String(video.charged_credits ?? video.estimated_credits),
    span(nowMs - Date.parse(video.created_at)),
    video.prompt ?? '(shots)',
  ]);
  const madeAs = isWide ? ['MODEL', 'LENGTH'] : [];
  return table(['ID', 'STATUS', ...madeAs, 'CREDITS', 'AGE', 'PROMPT'], rows, columns);
}

async function show(session: Session, [id]: readonly [string]): Promise<ExitCode> {
  const { videos } = session.dailies;
  const [video, receipt]: [Video, Receipt] = await Promise.all([videos.get(id), videos.receipt(id)]);
  session.printer.json({ ...video, receipt });
  for (const line of videoLines(video, receipt, Date.now())) session.printer.line(line);
  return exitCodes.ok;
}

function canceledWords(video: Video): string {
  if (video.charged_credits === 0) return `${video.id} canceled, nothing was charged`;
  return `${video.id} canceled; Kling has it already and cannot stop it: what Kling charges is charged`;
}
