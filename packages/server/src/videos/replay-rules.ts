/** Which dead letters a replay can help, and what to do with the others: one table for the list and for the replay itself. */
import type { AttemptState, FileState, VideoState } from '../db/tables.ts';
import { submitStates } from './attempt.ts';
import type { messageTables } from './publish.ts';
import { isFinal } from './video.ts';
import type { DeliveryState } from './webhooks.ts';

/** A dead letter with what has become of its row. */
export interface LetterRow {
  readonly kind: keyof typeof messageTables;
  readonly id: string;
  readonly reason: string | null;
  readonly crashes: number;
  readonly dead_at: Date;
  readonly video_id: string | null;
  readonly video_state: VideoState | null;
  readonly video_deleted_at: Date | null;
  /** Of the attempt, the file or the delivery. */
  readonly state: AttemptState | FileState | DeliveryState;
  /** A worker has it under a lease. */
  readonly busy: boolean;
  readonly endpoint_id: string | null;
  readonly endpoint_disabled_at: Date | null;
  readonly endpoint_deleted_at: Date | null;
}

export interface Judgement {
  readonly replayable: boolean;
  /** What a replay does, or what to do instead. */
  readonly hint: string;
}

const can = (hint: string): Judgement => ({ replayable: true, hint });
const cannot = (hint: string): Judgement => ({ replayable: false, hint });

export function judgeReplay(row: LetterRow): Judgement {
  if (row.busy) return cannot('A worker has it at this moment: look again in a minute.');
  switch (row.kind) {
    case 'submit':
      return judgeSubmit(row);
    case 'archive':
      return judgeArchive(row);
    case 'notify':
      return judgeNotify(row);
  }
}

function judgeSubmit({ state, video_id: videoId, video_state: videoState }: LetterRow): Judgement {
  if ((submitStates as readonly string[]).includes(state)) {
    return can('It goes on at once. Where Kling may have the task already, it is looked up before anything is sent.');
  }
  if (state === 'refused' && videoState !== null && isFinal(videoState) && videoState !== 'completed') {
    return cannot(
      `The video has ended and nothing was bought: POST /api/videos/${videoId}/retry makes it again, as a new one at the current price.`,
    );
  }
  return cannot('The video has gone on since: dismiss it.');
}

function judgeArchive({ state, video_deleted_at: deletedAt }: LetterRow): Judgement {
  if (deletedAt !== null || state === 'deleted') return cannot('The owner has deleted the video since: dismiss it.');
  if (state === 'pending') return can('The paid file is copied again at once.');
  if (state === 'stored') return cannot('The file has been stored since: dismiss it.');
  return can('Kling is asked once more for the paid file, in case it still has it. Nothing is bought.');
}

function judgeNotify(row: LetterRow): Judgement {
  if (row.state === 'delivered') return cannot('It has arrived since: dismiss it.');
  if (row.state === 'pending') return can('It is sent again at once.');
  if (row.endpoint_deleted_at !== null) return cannot('Its webhook was removed: dismiss it.');
  if (row.endpoint_disabled_at !== null) {
    return cannot(`Its webhook is disabled: PATCH /api/webhooks/${row.endpoint_id} with {"disabled": false} first.`);
  }
  return can('It is sent again at once under its old `webhook-id`, with all its tries.');
}
