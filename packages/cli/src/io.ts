/** Everything the commands see of the outside, so that tests can run whole commands. */
export interface Io {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly cwd: string;
  readonly home: string;
  readonly stdout: Output;
  readonly stderr: Output;
  /** Whether a person can answer questions. */
  readonly interactive: boolean;
  /** Asks a yes/no question; an empty answer is yes. */
  confirm(question: string): Promise<boolean>;
  /**
   * Calls `listener` at the first Ctrl-C (or SIGTERM); the second ends the process at once.
   * @returns stops listening
   */
  onInterrupt(listener: () => void): () => void;
}

export interface Output {
  readonly isTTY: boolean;
  /** Width in characters; infinite where nothing wraps (files, pipes). */
  readonly columns: number;
  write(text: string): void;
}
