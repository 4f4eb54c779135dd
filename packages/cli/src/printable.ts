/**
 * Control characters (with DEL and C1), separators that terminals treat as line ends, and marks that reorder text: a
 * prompt or an error that carries them could move the cursor, set the title, or show another text than it is.
 */
// oxlint-disable-next-line no-control-regex -- control characters are the point
const dangerous = /[\u0000-\u001f\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]/g;

/** The text with everything that a terminal would act on shown as an escape such as `\x1b`. */
export function printable(text: string): string {
  return text.replace(dangerous, escape);
}

/** JSON whose raw bytes are safe to show, too; it parses to the same value. */
export function printableJson(value: unknown, indent?: number): string {
  const text = JSON.stringify(value, null, indent);
  return text.replace(dangerous, (character) => (character === '\n' ? character : unicodeEscape(character)));
}

function escape(character: string): string {
  if (character === '\t') return ' ';
  if (character === '\n') return String.raw`\n`;
  const code = character.charCodeAt(0);
  return code < 256 ? String.raw`\x${code.toString(16).padStart(2, '0')}` : unicodeEscape(character);
}

function unicodeEscape(character: string): string {
  return String.raw`\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`;
}
