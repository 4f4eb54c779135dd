import { InputError, type Mistake } from '../kernel/errors.ts';

/** So that the answer stays readable, whatever was sent. */
const mistakesNamedMax = 50;

/** Collects every mistake of one request, so that the user hears of all at once. */
export interface MistakeList {
  /** @param path keys and indexes from the body down; empty for the body itself */
  add(path: readonly PropertyKey[], detail: string): void;
  /** The same for what belongs to a product that is not there: it decides the code of the whole answer. */
  addForeignProduct(path: readonly PropertyKey[], detail: string): void;
  /** Whether the field at the top of the body has no mistake so far. */
  isClean(field: string): boolean;
  readonly any: boolean;
  /** @throws InputError when there is any mistake */
  throwIfAny(): void;
}

export function createMistakeList(): MistakeList {
  const mistakes: Mistake[] = [];
  const touched = new Set<PropertyKey>();
  let foreignProduct = false;
  const add = (path: readonly PropertyKey[], detail: string): void => {
    if (path[0] !== undefined) touched.add(path[0]);
    mistakes.push({ pointer: toPointer(path), detail });
  };
  return {
    add,
    addForeignProduct(path, detail) {
      foreignProduct = true;
      add(path, detail);
    },
    isClean: (field) => !touched.has(field),
    get any() {
      return mistakes.length > 0;
    },
    throwIfAny() {
      if (mistakes.length === 0) return;
      const named = mistakes.slice(0, mistakesNamedMax);
      const rest = mistakes.length - named.length;
      if (rest > 0) named.push({ pointer: '', detail: `There are ${rest} more mistakes.` });
      throw new InputError(named, foreignProduct ? 'unsupported_product' : 'invalid_request');
    },
  };
}

/** RFC 6901. */
function toPointer(path: readonly PropertyKey[]): string {
  return path.map((part) => `/${String(part).replaceAll('~', '~0').replaceAll('/', '~1')}`).join('');
}
