import type { FaultHit } from './catalogue.ts';
import { faultCatalogue } from './catalogue.ts';

/** A fault asked for in a prompt. */
export interface MagicWord extends FaultHit {
  /** The word as written; with the prompt it is what uses are counted by. */
  readonly word: string;
}

/** Content decisions do not change when the same prompt comes again. */
const lasting = new Set(['1300', '1301']);

/**
 * Reads `[[fault:NAME]]`, `[[fault:NAME:MS]]`, `[[fault:NAME*TIMES]]`, `[[fault:NAME*]]` (always) in a prompt. Unknown names
 * are words of the prompt like any other.
 */
export function readMagicWords(prompt: string): readonly MagicWord[] {
  if (!prompt.includes('[[fault:')) return [];
  return [...prompt.matchAll(/\[\[fault:(\w+)(?::(\d{1,7}))?(\*(\d{0,4}))?\]\]/g)].flatMap((match) => {
    const [word, name = '', delay, star, times] = match;
    const entry = faultCatalogue.get(name);
    if (!entry) return [];
    const unlimited = star === undefined ? lasting.has(name) : !times;
    return [
      {
        word,
        name: entry.name,
        times: unlimited ? null : Number(times || 1),
        ...(delay ? { delayMs: Number(delay) } : {}),
      },
    ];
  });
}
