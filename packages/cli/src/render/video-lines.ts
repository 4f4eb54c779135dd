import type { Receipt, Video } from '@dailies/sdk';
import { creditWords, madeAs, price, queueWords, size } from './words.ts';

/** A video for people, one fact a line. */
export function videoLines(video: Video, receipt: Receipt, nowMs: number): string[] {
  const rows: (readonly [string, string | null | undefined])[] = [
    ['id', video.id],
    ['status', video.status],
    [
      'why',
      video.error && `${video.error.message} (${video.error.code}${video.error.retryable ? ', retry may help' : ''})`,
    ],
    ['prompt', video.prompt],
    ['made as', madeAs(video)],
    ['provider', video.provider],
    ['queue', video.queue && queueWords(video.queue, nowMs)],
    ['price', `${price(video.estimated_credits, video.estimated_cost)}; ${receipt.price_basis}`],
    ['money', moneyWords(receipt)],
    ['file', video.file ? fileWords(video.file) : video.deleted_at === null ? null : 'deleted'],
    ['link', video.video_url],
    ['metadata', pairs(video.metadata)],
    ['retry of', video.retry_of],
    ['created', video.created_at],
    ['started', video.started_at],
    ['ended', video.completed_at],
    ...video.warnings.map((warning) => ['warning', warning.message] as const),
  ];
  return rows.filter(([, value]) => Boolean(value)).map(([name, value]) => `${name.padEnd(9)} ${value ?? ''}`);
}

/** `held 1.5, captured 1.5` in the order in which it happened, then what is still open. */
function moneyWords(receipt: Receipt): string {
  const words = { hold: 'held', capture: 'captured', release: 'released' } as const;
  const entries = receipt.entries.map((entry) => {
    const note = entry.assumed ? ' (assumed: Kling named no amount)' : '';
    return `${words[entry.kind]} ${String(Math.abs(entry.credits))}${note}`;
  });
  const open = receipt.held_credits === 0 ? [] : [`${creditWords(receipt.held_credits)} undecided`];
  return [...entries, ...open].join(', ');
}

function fileWords(file: NonNullable<Video['file']>): string {
  const picture = file.width === null || file.height === null ? [] : [`${String(file.width)} x ${String(file.height)}`];
  const seconds = file.seconds === null ? [] : [`${String(Math.round(file.seconds * 100) / 100)} s`];
  return [size(file.bytes), ...seconds, ...picture, `sha256 ${file.sha256}`].join(', ');
}

function pairs(metadata: Readonly<Record<string, string>>): string {
  return Object.entries(metadata)
    .map(([key, value]) => `${key}=${value}`)
    .join(', ');
}
