import { createProcessIo } from './process-io.ts';
import { createPrinter } from './printer.ts';
import { reportError } from './report-error.ts';
import { runDemo } from './run-demo.ts';

const io = createProcessIo();
try {
  process.exitCode = await runDemo(process.argv.slice(2), io);
} catch (error) {
  process.exitCode = reportError(error, undefined, createPrinter(io, false), false);
}
