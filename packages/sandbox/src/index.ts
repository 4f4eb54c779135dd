export type { SandboxAccount } from './accounts.ts';
export { defaultAccount, sandboxAccessKey, sandboxApiKey, sandboxSecretKey } from './accounts.ts';
export type { PoolStats, SandboxStats } from './engine/stats.ts';
export type { SandboxOptions } from './options.ts';
export type { Sandbox } from './sandbox.ts';
export { startSandbox } from './sandbox.ts';
