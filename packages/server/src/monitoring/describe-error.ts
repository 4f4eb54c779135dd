/** What a log line shows of an error. */
export interface DescribedError {
  readonly type: string;
  readonly code?: string | number;
  readonly message: string;
  /** Only of errors that nobody expected: where they were made says more than their text. */
  readonly stack?: string;
  readonly cause?: unknown;
}

/** Names of errors that nobody made on purpose. */
const unexpected: ReadonlySet<string> = new Set(['Error', 'TypeError', 'RangeError', 'ReferenceError', 'SyntaxError']);
const causesMax = 4;

/**
 * The text of an error with its causes. Nothing else of it: SDKs hang requests, headers and parameters on their errors. An error that was made
 * on purpose says what may be said, so of what lies below it only the kind is shown: its text may hold a signed address. What is not an error
 * stays as it is.
 */
export function describeError(error: unknown, causes = causesMax): unknown {
  if (!(error instanceof Error)) return error;
  const { code } = error as { code?: unknown }; // of Node, PostgreSQL and ours
  const named = typeof code === 'string' || typeof code === 'number' ? { code } : {};
  // Several addresses that failed alike make one error without a text of its own.
  const first: unknown = error instanceof AggregateError ? error.errors[0] : undefined;
  const message = error.message || (first instanceof Error ? first.message : '');
  const described: DescribedError = {
    type: error.name,
    ...named,
    message,
    ...(unexpected.has(error.name) && code === undefined && error.stack !== undefined ? { stack: error.stack } : {}),
    ...(error.cause instanceof Error && causes > 0
      ? { cause: unexpected.has(error.name) ? describeError(error.cause, causes - 1) : kindOf(error.cause) }
      : {}),
  };
  return described;
}

function kindOf(error: Error): string {
  const { code } = error as { code?: unknown };
  return typeof code === 'string' || typeof code === 'number' ? `${error.name} ${code}` : error.name;
}
