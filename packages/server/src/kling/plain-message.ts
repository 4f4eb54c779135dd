/**
 * Makes a text of Kling's fit for users and logs: without URLs (a callback URL or a signed result URL is a secret),
 * without tokens and the given secrets, in one line of at most 500 characters.
 */
export function plainMessage(text: string, secrets: readonly string[] = []): string {
  let plain = text;
  for (const secret of secrets) if (secret.length >= 4) plain = plain.replaceAll(secret, '[redacted]');
  return plain
    .replace(/\b[a-z][a-z0-9+.-]*:\/\/[^\s"'<>]+/gi, '[url]')
    .replace(/\beyJ[\w-]+\.[\w-]+\.[\w-]*/g, '[redacted]')
    .replace(/\bapi-key-[\w-]+/gi, '[redacted]')
    .replace(/[\s\p{Cc}]+/gu, ' ')
    .trim()
    .slice(0, 500);
}
