import { CommanderError } from 'commander';
import { exitCodes } from './exit-codes.ts';
import { createProcessIo } from './process-io.ts';
import { createPrinter } from './printer.ts';
import { reportError } from './report-error.ts';
import { parseStory } from './story/options.ts';
import { runStory } from './story/run-story.ts';

const io = createProcessIo();
// Leaving by `exit` takes the child processes along; without a handler a signal would leave them behind.
io.onInterrupt(() => process.exit(exitCodes.interrupted));
try {
  process.exitCode = await runStory(parseStory(process.argv.slice(2), io), io);
} catch (error) {
  if (error instanceof CommanderError) process.exitCode = error.exitCode === 0 ? exitCodes.ok : exitCodes.usage;
  else process.exitCode = reportError(error, undefined, createPrinter(io, false), false);
}
