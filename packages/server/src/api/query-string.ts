import { unescape } from 'node:querystring';

/** A query as the schemas read it: a name given once is a text, given more often a list. */
export type Query = Record<string, string | string[] | Record<string, string>>;

const metadataName = /^metadata(?:\[(?<bracket>[^\]]*)\]|\.(?<dot>.+))$/su;

/**
 * Reads a query string. `metadata[key]=value` and `metadata.key=value` are gathered into one object; the last of equal
 * keys counts. Nothing is dropped: unknown names are refused by the schema of the route.
 */
export function parseQueryString(text: string): Query {
  const query: Query = Object.create(null) as Query; // no prototype: a parameter may be called "constructor"
  const metadata: Record<string, string> = Object.create(null) as Record<string, string>;
  for (const pair of text.split('&')) {
    if (pair === '') continue;
    const equals = pair.indexOf('=');
    const name = decode(equals < 0 ? pair : pair.slice(0, equals));
    const value = equals < 0 ? '' : decode(pair.slice(equals + 1));
    const groups = metadataName.exec(name)?.groups;
    if (groups) {
      metadata[groups['bracket'] ?? groups['dot'] ?? ''] = value;
      query['metadata'] = metadata;
    } else {
      const earlier = query[name];
      if (typeof earlier === 'string') query[name] = [earlier, value];
      else if (Array.isArray(earlier)) earlier.push(value);
      else query[name] = value;
    }
  }
  return query;
}

function decode(text: string): string {
  return unescape(text.replaceAll('+', ' '));
}
