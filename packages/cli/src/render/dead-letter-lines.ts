import type { DeadLetter } from '@dailies/sdk';
import { span } from './words.ts';

/** Three lines for each; nothing is cut, because the reason is what one looks for. */
export function deadLetterLines(letters: readonly DeadLetter[], nowMs: number): string[] {
  if (letters.length === 0) return ['No dead letters.'];
  return letters.flatMap((letter) => [
    `${letter.kind} ${letter.id}  ${span(nowMs - Date.parse(letter.dead_at))} ago  ${videoWords(letter)}`,
    `  reason  ${letter.reason ?? 'not known'}`,
    `  ${letter.replayable ? 'replay' : 'no replay'}  ${letter.replay_hint}`,
  ]);
}

function videoWords({ video_id: id, video_status: status }: DeadLetter): string {
  return id === null ? 'a test of a webhook' : `${id} ${status ?? ''}`.trim();
}
