/** Where a text stops being JSON, and what could have stood there. */
export interface JsonError {
  /** Index into the text; its length when the text ends too early. */
  readonly position: number;
  readonly expected: string;
}

const space = /[ \t\n\r]*/y;
// oxlint-disable-next-line no-control-regex -- JSON forbids raw control characters inside strings
const string = /"(?:[^"\\\u0000-\u001f]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*"/y;
const atom = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?(?![\w.+-])|(?:true|false|null)(?!\w)/y;

/**
 * Finds the first mistake in a text that `JSON.parse` refused: V8's own message names a position only sometimes. Runs in
 * linear time and without recursion, so that deep nesting cannot exhaust the stack.
 */
export function findJsonError(text: string): JsonError {
  const open: ('{' | '[')[] = [];
  let position = 0;
  let state: 'value' | 'first' | 'key' | 'after' = 'value';
  const skip = (pattern: RegExp): boolean => {
    pattern.lastIndex = position;
    const found = pattern.test(text);
    if (found) position = pattern.lastIndex;
    return found;
  };
  for (;;) {
    skip(space);
    const character = text.charAt(position);
    const inside = open.at(-1);
    if (state === 'after') {
      if (inside === undefined) return { position, expected: 'the end' };
      if (character === ',') state = inside === '{' ? 'key' : 'value';
      else if (character === closerOf(inside)) open.pop();
      else return { position, expected: `"," or "${closerOf(inside)}"` };
      position += 1;
    } else if (state === 'first' && character === closerOf(inside ?? '[')) {
      open.pop();
      position += 1;
      state = 'after';
    } else if (state === 'key' || (state === 'first' && inside === '{')) {
      if (!skip(string)) return { position, expected: 'a name in double quotes' };
      skip(space);
      if (text.charAt(position) !== ':') return { position, expected: '":"' };
      position += 1;
      state = 'value';
    } else if (character === '{' || character === '[') {
      open.push(character);
      position += 1;
      state = 'first';
    } else if (skip(string) || skip(atom)) {
      state = 'after';
    } else {
      return { position, expected: character === '"' ? 'a text closed by a double quote' : 'a value' };
    }
  }
}

function closerOf(opener: '{' | '['): '}' | ']' {
  return opener === '{' ? '}' : ']';
}
