/**
 * Characters are counted as Unicode code points: what people and JSON Schema's `maxLength` count, and what Kling's
 * "characters" most plausibly means. An emoji is one, not two.
 */
export function countCharacters(text: string): number {
  let count = 0;
  for (const _character of text) count += 1;
  return count;
}

/** Whether a text has nothing to read: only white space and invisible characters. */
export function isBlank(text: string): boolean {
  return /^[\s\p{Z}\p{Cf}\p{Cc}]*$/u.test(text);
}

/**
 * Why a text cannot be stored and sent, as the end of a sentence that begins with its name; undefined when it can. Line
 * breaks and tabs are fine; NUL cannot be stored in a database, half an emoji is no Unicode at all.
 */
export function textProblem(text: string): string | undefined {
  const control = /[^\P{Cc}\t\n\r]/u.exec(text);
  if (control) {
    const code = control[0].charCodeAt(0).toString(16).toUpperCase().padStart(4, '0');
    const place = countCharacters(text.slice(0, control.index)) + 1;
    return `contains the control character U+${code} at character ${place}: remove it (line breaks and tabs are fine)`;
  }
  if (!text.isWellFormed()) {
    return 'contains half of a surrogate pair, which is no character: the text was cut inside an emoji or wrongly decoded';
  }
  return undefined;
}
