/**
 * A key that no other call has. Uniqueness is all that it needs, so it also works where `randomUUID` does not exist
 * (pages without TLS, Node 18).
 */
export function createIdempotencyKey(): string {
  const random = globalThis.crypto?.randomUUID?.() ?? Array.from({ length: 4 }, chunk).join('');
  return `sdk-${random}`;
}

function chunk(): string {
  return Math.random().toString(36).slice(2).padStart(8, '0').slice(0, 8);
}
