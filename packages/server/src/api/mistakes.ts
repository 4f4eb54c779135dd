import type { FastifySchemaValidationError } from 'fastify';
import * as z from 'zod';
import { nearestNames } from '../catalog/spelling.ts';
import { InputError, type Mistake } from '../kernel/errors.ts';

/**
 * Makes the schema's complaints about a part of a request into one error that names every mistake. (What a video may be is
 * the catalog's business and does not come here.)
 * @param part what Fastify validated: `querystring`, `headers` or `body`
 */
export function createInputError(failures: readonly FastifySchemaValidationError[], part: string): InputError {
  return new InputError(failures.flatMap((failure) => mistakesOf(failure, part)));
}

function mistakesOf(failure: FastifySchemaValidationError, part: string): Mistake[] {
  const unknown = failure.params['keys'];
  if (failure.keyword === 'unrecognized_keys' && Array.isArray(unknown)) {
    const details = failure.message?.split('\n') ?? []; // one line per name, as strictQuery wrote them
    return unknown.map((name, index) => ({
      pointer: pointerTo(part, String(name)),
      detail: details[index] ?? `There is no ${JSON.stringify(name)} here.`,
    }));
  }
  const path = failure.instancePath.slice(1);
  return [{ pointer: pointerTo(part, path), detail: failure.message ?? 'This value is not allowed.' }];
}

function pointerTo(part: string, path: string): string {
  if (part === 'headers') return `header:${path}`;
  if (part === 'querystring') return `?${path.replace(/^metadata\/(.*)$/su, 'metadata[$1]')}`;
  return path === '' ? '' : `/${path}`;
}

/** A strict query: an unknown parameter is refused by name, with the nearest known one. */
export function strictQuery<Shape extends z.ZodRawShape>(shape: Shape): z.ZodObject<Shape, z.core.$strict> {
  const known = Object.keys(shape);
  return z.strictObject(shape, {
    error: (issue) => {
      if (issue.code !== 'unrecognized_keys') return undefined;
      return issue.keys.map((name) => unknownName('query parameter', name, known)).join('\n');
    },
  });
}

/** A strict body: an unknown field is refused by name, with the nearest known one. */
export function strictBody<Shape extends z.ZodRawShape>(shape: Shape): z.ZodObject<Shape, z.core.$strict> {
  const known = Object.keys(shape);
  return z.strictObject(shape, {
    error: (issue) => {
      if (issue.code !== 'unrecognized_keys') return `The body must be a JSON object with ${known.join(', ')}.`;
      return issue.keys.map((name) => unknownName('field', name, known)).join('\n');
    },
  });
}

function unknownName(what: string, name: string, known: readonly string[]): string {
  const [nearest] = nearestNames(name, known);
  const hint = nearest === undefined ? `Known: ${known.join(', ') || 'none'}.` : `Did you mean "${nearest}"?`;
  return `There is no ${what} ${JSON.stringify(name)} here. ${hint}`;
}
