import * as z from 'zod';

export const once = (name: string): string => `\`${name}\` must be given once.`;

/** The parameters of every list that has pages. */
export const pageQuery = {
  limit: z
    .string(once('limit'))
    .regex(/^(?:[1-9]\d?|100)$/, '`limit` must be a whole number from 1 to 100.')
    .optional()
    .meta({ description: '1 to 100; 20 without it.' }),
  cursor: z
    .string(once('cursor'))
    .max(500, '`cursor` must be the `next_cursor` of an earlier page.')
    .optional()
    .meta({ description: '`next_cursor` of the page before.' }),
};

export function pageOf(query: { readonly limit?: string | undefined; readonly cursor?: string | undefined }) {
  return { limit: Number(query.limit ?? 20), cursor: query.cursor ?? null };
}
