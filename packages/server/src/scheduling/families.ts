import type { Kysely } from 'kysely';
import type { Generation } from '../catalog/request.ts';
import type { Provider, Tables } from '../db/tables.ts';

/**
 * A family is the work that the same pools can serve: one provider, one model version, one pack type, and the API
 * generation where only one of the two can carry the request.
 */
export interface Family {
  readonly provider: Provider;
  readonly model: string;
  readonly packType: string;
  readonly needs: Generation | null;
}

export function familyId(family: Family): string {
  const base = `${family.provider}/${family.model}/${family.packType}`;
  return family.needs === null ? base : `${base}/${family.needs}`;
}

/** Reads what `familyId` wrote. */
export function parseFamilyId(id: string): Family {
  const [provider, model, packType, needs] = id.split('/');
  if ((provider !== 'kling' && provider !== 'sandbox') || !model || !packType) throw new Error(`not a family: ${id}`);
  return { provider, model, packType, needs: needs === 'legacy' || needs === 'standard' ? needs : null };
}

/** Makes sure that the family and the workspace's flow in it exist; remembers in this process what it has made. */
export function createFlowRegistry(kysely: Kysely<Tables>): {
  ensure(family: Family, workspaceId: string): Promise<string>;
} {
  const known = new Set<string>();
  return {
    async ensure(family, workspaceId) {
      const id = familyId(family);
      const key = `${id} ${workspaceId}`;
      if (known.has(key)) return id;
      const { provider, model, packType, needs } = family;
      // Read first: an insert would wait for a dispatch that is just changing the row, only to do nothing.
      const stored = await kysely.selectFrom('families').select('id').where('id', '=', id).executeTakeFirst();
      if (!stored) {
        await kysely
          .insertInto('families')
          .values({ id, provider, model, pack_type: packType, needs })
          .onConflict((conflict) => conflict.doNothing())
          .execute();
      }
      await kysely
        .insertInto('flows')
        .values({ family_id: id, workspace_id: workspaceId, cap: null })
        .onConflict((conflict) => conflict.doNothing())
        .execute();
      known.add(key);
      return id;
    },
  };
}
