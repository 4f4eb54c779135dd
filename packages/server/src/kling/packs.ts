import { z } from 'zod';
import { succeededData } from './answer.ts';
import type { Calls } from './calls.ts';
import type { ResourcePack } from './kling-api.ts';
import { mustLearn } from './look-up.ts';
import type { Asking } from './look-up.ts';

const spanMs = 30 * 24 * 3_600_000;

const costs = z.object({
  code: z.union([
    z.int(),
    z
      .string()
      .regex(/^\d{1,6}$/)
      .transform(Number),
  ]),
  resource_pack_subscribe_infos: z.array(z.unknown()).nullish(),
});
const pack = z.object({
  resource_pack_name: z.string(),
  status: z.string().nullish().catch(null),
  remaining_quantity: z.coerce.number().nullish().catch(null),
});

/**
 * The account's packs as `/account/costs` shows them; it has a second code inside its data.
 * @throws AppError `unavailable`
 */
export async function listPacks(calls: Calls, asking: Asking, nowMs: number): Promise<ResourcePack[]> {
  const query = `start_time=${nowMs - spanMs}&end_time=${nowMs}`;
  const answer = await calls.read({ ...asking, method: 'GET', path: '/account/costs', query });
  const parsed = costs.safeParse(succeededData(answer));
  if (!parsed.success || parsed.data.code !== 0) throw mustLearn(answer, 'its resource packs');
  return (parsed.data.resource_pack_subscribe_infos ?? []).flatMap((info) => {
    const read = pack.safeParse(info);
    return read.success ? [fromInfo(read.data)] : [];
  });
}

/** Names look like `Trial-Video-100Units-5Con-1Months`. */
function fromInfo({
  resource_pack_name: name,
  status,
  remaining_quantity: remaining,
}: z.infer<typeof pack>): ResourcePack {
  const concurrency = /(?:^|[^a-z0-9])(\d{1,5})con(?:$|[^a-z])/i.exec(name)?.[1];
  const type = /(?:^|[^a-z])(video|image)(?:$|[^a-z])/i.exec(name)?.[1]?.toLowerCase();
  return {
    name,
    status: status ?? 'unknown',
    concurrency: concurrency === undefined ? null : Number(concurrency),
    type: type === 'video' || type === 'image' ? type : 'unknown',
    remaining: remaining ?? null,
  };
}
