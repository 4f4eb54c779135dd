import * as z from 'zod';
import { timeSchema } from './common-schemas.ts';

export const poolListSchema = z
  .object({
    data: z.array(
      z.object({
        id: z.string(),
        account_id: z.string(),
        model: z.string().meta({ description: '`*` where the account counts per pack only.' }),
        pack_type: z.string(),
        capacity: z.int().meta({ description: 'Slots: tasks in flight that the account allows.' }),
        effective: z.int().meta({ description: 'Capacity less what others use.' }),
        in_use: z.int(),
        paused: z.object({ reason: z.string(), since: timeSchema }).nullable(),
      }),
    ),
  })
  .meta({ id: 'PoolList' });
