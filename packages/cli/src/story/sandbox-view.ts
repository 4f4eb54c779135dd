import type { SandboxStats } from '@dailies/sandbox';
import type { SeenTask } from './measure.ts';

/** The sandbox's own account of what happened: the only witness that the server cannot influence. */
export interface SandboxView {
  loseAllCallbacks(): Promise<void>;
  stats(): Promise<SandboxStats>;
  tasks(): Promise<readonly SeenTask[]>;
}

export function createSandboxView(url: string): SandboxView {
  const get = async (path: string): Promise<unknown> => {
    const response = await fetch(`${url}/_sandbox/${path}`, { signal: AbortSignal.timeout(30_000) });
    if (!response.ok) throw new Error(`the sandbox answered ${String(response.status)} to ${path}`);
    return response.json();
  };
  return {
    loseAllCallbacks: async () => {
      const response = await fetch(`${url}/_sandbox/faults`, {
        method: 'POST',
        body: JSON.stringify({ fault: 'callback_lost', rate: 1 }),
        headers: { 'content-type': 'application/json' },
        signal: AbortSignal.timeout(30_000),
      });
      if (!response.ok) throw new Error(`the sandbox refused the fault: ${await response.text()}`);
    },
    stats: async () => (await get('stats')) as SandboxStats, // the sandbox's contract
    tasks: async () => (await get('tasks?limit=900000')) as SeenTask[], // the sandbox's contract
  };
}
