import type { Cost, QueueEstimate, Video } from '@dailies/sdk';

/** `1.5 credits (US$0.21)` */
export function price(credits: number, cost: Cost): string {
  const money = cost.currency === 'USD' ? `US$${cost.amount}` : `${cost.amount} ${cost.currency}`;
  return `${creditWords(credits)} (${money})`;
}

export function creditWords(credits: number): string {
  return credits === 1 ? '1 credit' : `${String(credits)} credits`;
}

/** `48 s`, `3 min`, `2 h 5 min`, `4 d` */
export function span(ms: number): string {
  const seconds = Math.max(0, Math.round(ms / 1000));
  if (seconds < 100) return `${String(seconds)} s`;
  const minutes = Math.round(seconds / 60);
  if (minutes < 100) return `${String(minutes)} min`;
  const hours = Math.floor(minutes / 60);
  if (hours < 48) return `${String(hours)} h${minutes % 60 ? ` ${String(minutes % 60)} min` : ''}`;
  return `${String(Math.round(hours / 24))} d`;
}

export function size(bytes: number): string {
  if (bytes < 1000) return `${String(bytes)} B`;
  if (bytes < 1_000_000) return `${(bytes / 1000).toFixed(0)} kB`;
  return `${(bytes / 1_000_000).toFixed(1)} MB`;
}

/** `kling-2.6 std, 5 s, 16:9, with sound` */
export function madeAs(video: Pick<Video, 'model' | 'mode' | 'duration' | 'aspect_ratio' | 'sound'>): string {
  const model = video.mode === null ? video.model : `${video.model} ${video.mode}`;
  return [model, `${String(video.duration)} s`, video.aspect_ratio, ...(video.sound ? ['with sound'] : [])].join(', ');
}

/** `position 3, starts in about 2 min, ready in about 4 min`; empty when nothing is known. */
export function queueWords(queue: QueueEstimate, nowMs: number): string {
  const waiting = queue.position !== 0;
  return [
    ...(waiting ? [`position ${queue.position === null ? '1000+' : String(queue.position)}`] : []),
    ...(waiting && queue.starts_at !== null ? [`starts ${until(queue.starts_at, nowMs)}`] : []),
    ...(queue.ends_at === null ? [] : [`ready ${until(queue.ends_at, nowMs)}`]),
  ].join(', ');
}

function until(time: string, nowMs: number): string {
  const ms = Date.parse(time) - nowMs;
  return ms < 1000 ? 'any moment' : `in about ${span(ms)}`;
}
