import { closeSync, ftruncateSync, mkdirSync, openSync, readFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import type { SandboxEvent } from './events.ts';

/**
 * The sandbox's memory on disk: one JSON line per event, appended before the answer that depends on it leaves. A line is
 * in the operating system's hands when `append` returns, so it survives the death of the process (not of the power).
 */
export interface Journal {
  append(event: SandboxEvent): void;
  /** Forgets everything. */
  clear(): void;
  close(): void;
}

export const memoryJournal: Journal = { append: () => undefined, clear: () => undefined, close: () => undefined };

/**
 * Opens (or starts) the journal of a folder and replays it into `apply`. A last line that was torn by a kill is cut off.
 * @throws Error naming file and line when an earlier line cannot be read
 */
export function openJournal(dataDir: string, apply: (event: SandboxEvent) => void): Journal {
  mkdirSync(dataDir, { recursive: true });
  const path = join(dataDir, 'journal.jsonl');
  const file = openSync(path, 'a+');
  try {
    ftruncateSync(file, replay(path, apply));
  } catch (error) {
    closeSync(file);
    throw error;
  }
  return {
    append: (event) => void writeSync(file, `${JSON.stringify(event)}\n`),
    clear: () => ftruncateSync(file, 0),
    close: () => closeSync(file),
  };
}

/** Returns how many bytes of the file are whole lines. */
function replay(path: string, apply: (event: SandboxEvent) => void): number {
  const bytes = readFileSync(path);
  let start = 0;
  for (let number = 1; ; number++) {
    const end = bytes.indexOf(0x0a, start);
    if (end === -1) return start;
    let event: SandboxEvent;
    try {
      event = JSON.parse(bytes.toString('utf8', start, end)) as SandboxEvent; // written by `append` above
    } catch (error) {
      if (end === bytes.length - 1) return start;
      throw new Error(`${path} line ${number} is not readable; move the file away to start afresh`, { cause: error });
    }
    apply(event);
    start = end + 1;
  }
}
