/** The other side of poster.ts: starts ffmpeg from a thread of its own, where nobody waits while the process is copied. */
import { spawn } from 'node:child_process';
import { parentPort } from 'node:worker_threads';

export interface PosterJob {
  readonly id: number;
  readonly video: string;
  readonly poster: string;
}

export interface PosterDone {
  readonly id: number;
  readonly result: 'made' | 'failed' | 'missing';
}

const runMs = 30_000;

parentPort?.on('message', (job: PosterJob) => {
  const scale = ['-frames:v', '1', '-vf', 'scale=640:-2', '-q:v', '4'];
  const child = spawn('ffmpeg', ['-v', 'error', '-nostdin', '-threads', '1', '-i', job.video, ...scale, job.poster], {
    stdio: 'ignore',
    timeout: runMs,
  });
  const answer = (result: PosterDone['result']): void =>
    parentPort?.postMessage({ id: job.id, result } satisfies PosterDone);
  child.once('error', (error) => answer('code' in error && error.code === 'ENOENT' ? 'missing' : 'failed'));
  child.once('close', (code) => answer(code === 0 ? 'made' : 'failed'));
});
