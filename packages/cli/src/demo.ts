import { exitCodes } from './exit-codes.ts';
import { createProcessIo } from './process-io.ts';
import { createPrinter } from './printer.ts';
import { reportError } from './report-error.ts';
import { runDemo } from './run-demo.ts';

const io = createProcessIo();
// Leaving by `exit` takes the child processes along; without a handler a signal would leave them behind.
io.onInterrupt(() => process.exit(exitCodes.interrupted));
try {
  process.exitCode = await runDemo(process.argv.slice(2), io);
} catch (error) {
  process.exitCode = reportError(error, undefined, createPrinter(io, false), false);
}
