import type * as z from 'zod';
import { findInstead, findProductOfField } from './foreign.ts';
import type { MistakeList } from './mistakes.ts';
import { createVideoBody, type CreateVideoBody } from './schema.ts';
import { either, nearestNames, quote } from './spelling.ts';

const knownFields = Object.keys(createVideoBody.shape);
/** Beyond this the answer would be longer than useful, and its work would be the caller's choice. */
const unknownFieldsNamedMax = 20;

/**
 * The fields of a body that have the right shape. Everything else is written into `mistakes` and left out, so that the
 * rules of the model can still judge the rest.
 * @throws InputError when the body has no fields at all
 */
export function readFields(body: unknown, mistakes: MistakeList): CreateVideoBody {
  if (typeof body !== 'object' || body === null || Array.isArray(body)) {
    mistakes.add([], 'The body must be a JSON object such as {"prompt": "a red fox running through fresh snow"}.');
    mistakes.throwIfAny();
    return {};
  }
  const entries = Object.entries(body);
  reportUnknown(
    entries.map(([name]) => name).filter((name) => !knownFields.includes(name)),
    mistakes,
  );
  const known = entries.filter(([name]) => knownFields.includes(name));
  reportMetadataKey(known, mistakes);
  const all = createVideoBody.safeParse(Object.fromEntries(known), { error: () => '' });
  if (all.success) return all.data;
  for (const issue of all.error.issues) reportIssue(issue, mistakes);
  return createVideoBody.parse(Object.fromEntries(known.filter(([name]) => mistakes.isClean(name))));
}

function reportUnknown(names: readonly string[], mistakes: MistakeList): void {
  for (const name of names.slice(0, unknownFieldsNamedMax)) {
    const path = name.length > 200 ? [] : [name];
    const product = findProductOfField(name);
    if (product) {
      mistakes.addForeignProduct(
        path,
        `${quote(name)} belongs to ${product}, which is not available yet: text2video takes words only. Leave it out.`,
      );
    } else mistakes.add(path, `${quote(name)} is not a field of this request: ${advise(name, knownFields)}`);
  }
  if (names.length > unknownFieldsNamedMax) {
    mistakes.add([], `${names.length - unknownFieldsNamedMax} more fields are not known.`);
  }
}

/** What to do about an unknown name: the end of a sentence and its full stop. */
function advise(name: string, known: readonly string[]): string {
  const advice = known === knownFields ? findInstead(name) : undefined;
  if (advice) return `${advice}.`;
  const [near] = nearestNames(name, known);
  return near ? `did you mean \`${near}\`?` : `leave it out; known are ${either(known, 'and')}.`;
}

function reportIssue(issue: z.core.$ZodIssue, mistakes: MistakeList): void {
  if (issue.code !== 'unrecognized_keys') {
    // a few checks have no words of their own, such as numbers beyond exact integers
    mistakes.add(
      issue.path,
      issue.message || `The value of \`${issue.path.join('.')}\` is out of range or of the wrong kind.`,
    );
    return;
  }
  const known = issue.path[0] === 'shots' ? ['prompt', 'duration'] : cameraFields(issue.path);
  const owner = issue.path.filter((part) => typeof part === 'string').join('.');
  for (const key of issue.keys.slice(0, unknownFieldsNamedMax)) {
    mistakes.add(
      [...issue.path, key.slice(0, 200)],
      `${quote(key)} is not a field of \`${owner}\`: ${advise(key, known)}`,
    );
  }
}

function cameraFields(path: readonly PropertyKey[]): readonly string[] {
  return path.length > 1 ? ['horizontal', 'vertical', 'pan', 'tilt', 'roll', 'zoom'] : ['type', 'config'];
}

/** Copying would silently drop it: it names an object's prototype. */
function reportMetadataKey(known: readonly (readonly [string, unknown])[], mistakes: MistakeList): void {
  const metadata = known.find(([name]) => name === 'metadata')?.[1];
  if (typeof metadata === 'object' && metadata !== null && Object.hasOwn(metadata, '__proto__')) {
    mistakes.add(['metadata', '__proto__'], '`metadata` cannot have a key "__proto__": choose another name.');
  }
}
