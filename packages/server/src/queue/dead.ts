import type { ConsumeOptions, Handler, Message } from './queue.ts';

/** How the dead letters of an engine are consumed: like messages, one by one; what `onDead` does not take comes again. */
export function drainDead(onDead: (message: Message) => Promise<void>): {
  readonly handler: Handler;
  readonly options: ConsumeOptions;
} {
  return {
    async handler(message) {
      await onDead(message);
      return { result: 'done' };
    },
    options: {
      concurrency: 1,
      async settled(_message, outcome) {
        if (outcome.result === 'crash') throw outcome.error;
      },
    },
  };
}
