/**
 * Unix milliseconds after which a signed result URL stops working: `Expires` (Unix seconds) or `ksTime` (hexadecimal
 * Unix seconds). Null when it carries neither, or what it carries is no time between 2020 and 2100.
 */
export function urlExpiryMs(url: string): number | null {
  if (!URL.canParse(url)) return null;
  const query = new URL(url).searchParams;
  const expires = query.get('Expires') ?? query.get('expires');
  if (expires !== null && /^\d{1,12}$/.test(expires)) return plausible(Number(expires));
  const ksTime = query.get('ksTime');
  if (ksTime !== null && /^[0-9a-f]{1,9}$/i.test(ksTime)) return plausible(Number.parseInt(ksTime, 16));
  return null;
}

function plausible(seconds: number): number | null {
  return seconds > 1_577_836_800 && seconds < 4_102_444_800 ? seconds * 1000 : null;
}
