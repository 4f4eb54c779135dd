export interface PoolRecord {
  readonly id: string;
  readonly accountId: string;
  readonly model: string;
  readonly packType: string;
  readonly capacity: number;
  /** Capacity less what others use; grows back. */
  readonly effective: number;
  readonly inUse: number;
  readonly paused: { readonly reason: string; readonly since: Date } | null;
}
