/** Amazon SQS as the queue uses it: every call ends in time, and its errors name no secret. */
import {
  ChangeMessageVisibilityBatchCommand,
  CreateQueueCommand,
  DeleteMessageBatchCommand,
  GetQueueAttributesCommand,
  GetQueueUrlCommand,
  ReceiveMessageCommand,
  SendMessageBatchCommand,
  SQSClient,
  type BatchResultErrorEntry,
} from '@aws-sdk/client-sqs';
import { asError } from '../kernel/errors.ts';

/** What SQS answered, or why it could not be asked. */
export class SqsError extends Error {
  override readonly name = 'SqsError';
  /** The word of SQS or of its client for what happened. */
  readonly code: string;

  constructor(code: string, message: string) {
    super(message);
    this.code = code;
  }
}

export interface SqsClient {
  /** The address of a queue; null when there is none. */
  findQueue(name: string): Promise<string | null>;
  /** @returns its address */
  makeQueue(name: string, attributes: Readonly<Record<string, string>>): Promise<string>;
  /**
   * Sends up to 10. @returns those that SQS failed to take this time
   * @throws SqsError also for entries that it never takes; others of the batch may have been taken then
   */
  send(url: string, entries: readonly SqsEntry[]): Promise<readonly SqsEntry[]>;
  /** Waits up to 20 s for up to 10 messages. @returns none when the signal ends the wait */
  receive(url: string, options: ReceiveOptions): Promise<readonly SqsMessage[]>;
  /** Deletes up to 10. Receipts that do not count any more are passed over. */
  remove(url: string, receipts: readonly string[]): Promise<void>;
  /** Changes for how many seconds up to 10 messages stay with us. Receipts that do not count any more are passed over. */
  keep(url: string, receipts: readonly string[], seconds: number): Promise<void>;
  /** Messages that wait or are in hand, about. */
  count(url: string): Promise<number>;
  arnOf(url: string): Promise<string>;
  close(): void;
}

export interface SqsEntry {
  readonly body: string;
  /** Messages of one group share the queue fairly with those of others; null leaves that to SQS. */
  readonly groupId: string | null;
}

export interface SqsMessage {
  readonly body: string;
  readonly receipt: string;
}

export interface ReceiveOptions {
  readonly limit: number;
  readonly visibilitySeconds: number;
  readonly signal: AbortSignal;
}

/** Most that one request may carry. */
export const batchSize = 10;

/** How long a request may take in all, its repetitions included. */
const requestMs = 4_000;
const connectMs = 1_500;
const longPollSeconds = 20;
const tries = 3;
/** Long polls hold a connection each, and sends must not queue up behind them. */
const maxSockets = 200;

/** Failures of an entry that mean: somebody else has this message by now, or it is gone. */
const lostReceipt: ReadonlySet<string> = new Set([
  'MessageNotInflight',
  'ReceiptHandleIsInvalid',
  'InvalidParameterValue',
  'AWS.SimpleQueueService.MessageNotInflight',
]);

export function createSqsClient(options: { readonly region: string; readonly endpoint: string | null }): SqsClient {
  const client = new SQSClient({
    region: options.region,
    ...(options.endpoint !== null && { endpoint: options.endpoint }),
    maxAttempts: tries,
    requestHandler: { connectionTimeout: connectMs, httpAgent: { maxSockets }, httpsAgent: { maxSockets } },
  });

  /** Runs one command. @throws SqsError */
  async function call<T>(run: (options: { abortSignal: AbortSignal }) => Promise<T>, ms = requestMs): Promise<T> {
    const { promise: late, reject } = Promise.withResolvers<never>();
    const controller = new AbortController();
    // Waiting for credentials cannot be aborted, so the caller is let go in any case.
    const timer = setTimeout(() => {
      reject(new SqsError('Timeout', `SQS did not answer within ${ms / 1_000} s.`));
      controller.abort();
    }, ms);
    try {
      return await Promise.race([run({ abortSignal: controller.signal }), late]);
    } catch (error) {
      throw describe(error);
    } finally {
      clearTimeout(timer);
    }
  }

  return {
    async findQueue(name) {
      try {
        const { QueueUrl } = await call((at) => client.send(new GetQueueUrlCommand({ QueueName: name }), at));
        return QueueUrl ?? null;
      } catch (error) {
        if (isMissingQueue(error)) return null;
        throw error;
      }
    },
    async makeQueue(name, attributes) {
      const command = new CreateQueueCommand({ QueueName: name, Attributes: { ...attributes } });
      const { QueueUrl } = await call((at) => client.send(command, at));
      if (QueueUrl === undefined) throw new SqsError('NoAnswer', `SQS did not say where the queue ${name} is.`);
      return QueueUrl;
    },
    async send(url, entries) {
      const command = new SendMessageBatchCommand({
        QueueUrl: url,
        Entries: entries.map(({ body, groupId }, index) => ({
          Id: String(index),
          MessageBody: body,
          ...(groupId !== null && { MessageGroupId: groupId }),
        })),
      });
      const { Failed = [] } = await call((at) => client.send(command, at));
      throwFirst(Failed.filter(({ SenderFault }) => SenderFault === true));
      const failed = new Set(Failed.map(({ Id }) => Id));
      return entries.filter((_entry, index) => failed.has(String(index)));
    },
    async receive(url, { limit, visibilitySeconds, signal }) {
      const command = new ReceiveMessageCommand({
        QueueUrl: url,
        MaxNumberOfMessages: Math.min(limit, batchSize),
        VisibilityTimeout: visibilitySeconds,
        WaitTimeSeconds: longPollSeconds,
      });
      try {
        const { Messages = [] } = await call(
          ({ abortSignal }) => client.send(command, { abortSignal: AbortSignal.any([signal, abortSignal]) }),
          longPollSeconds * 1_000 + requestMs,
        );
        return Messages.map(({ Body = '', ReceiptHandle = '' }) => ({ body: Body, receipt: ReceiptHandle }));
      } catch (error) {
        if (signal.aborted) return [];
        throw error;
      }
    },
    async remove(url, receipts) {
      const command = new DeleteMessageBatchCommand({
        QueueUrl: url,
        Entries: receipts.map((receipt, index) => ({ Id: String(index), ReceiptHandle: receipt })),
      });
      const { Failed = [] } = await call((at) => client.send(command, at));
      throwFirst(Failed.filter(({ Code = '' }) => !lostReceipt.has(Code)));
    },
    async keep(url, receipts, seconds) {
      const command = new ChangeMessageVisibilityBatchCommand({
        QueueUrl: url,
        Entries: receipts.map((receipt, index) => ({
          Id: String(index),
          ReceiptHandle: receipt,
          VisibilityTimeout: seconds,
        })),
      });
      const { Failed = [] } = await call((at) => client.send(command, at));
      throwFirst(Failed.filter(({ Code = '' }) => !lostReceipt.has(Code)));
    },
    async count(url) {
      const command = new GetQueueAttributesCommand({
        QueueUrl: url,
        AttributeNames: ['ApproximateNumberOfMessages', 'ApproximateNumberOfMessagesNotVisible'],
      });
      const { Attributes = {} } = await call((at) => client.send(command, at));
      return Object.values(Attributes).reduce((sum, value) => sum + Number(value), 0);
    },
    async arnOf(url) {
      const command = new GetQueueAttributesCommand({ QueueUrl: url, AttributeNames: ['QueueArn'] });
      const { Attributes } = await call((at) => client.send(command, at));
      if (Attributes?.QueueArn === undefined) throw new SqsError('NoAnswer', `SQS did not name the queue at ${url}.`);
      return Attributes.QueueArn;
    },
    close: () => client.destroy(),
  };
}

const missingQueue: ReadonlySet<string> = new Set(['QueueDoesNotExist', 'AWS.SimpleQueueService.NonExistentQueue']);

export function isMissingQueue(error: unknown): boolean {
  return error instanceof SqsError && error.code === 'QueueDoesNotExist';
}

/** @throws SqsError */
function throwFirst([first]: readonly BatchResultErrorEntry[]): void {
  if (first)
    throw new SqsError(first.Code ?? 'Failed', `SQS refused an entry: ${first.Code ?? ''} ${first.Message ?? ''}`);
}

/**
 * An error of our own: those of the client carry the request with its signature, and a refused signature is explained with
 * headers that may hold a session token, after the first line.
 */
function describe(thrown: unknown): SqsError {
  if (thrown instanceof SqsError) return thrown;
  const error = asError(thrown);
  // Failures of the connection have a word of the system instead of a name.
  const code = 'code' in error && typeof error.code === 'string' ? error.code : error.name;
  const [line = ''] = error.message.split('\n');
  return new SqsError(missingQueue.has(code) ? 'QueueDoesNotExist' : code, `SQS: ${line.slice(0, 300) || code}`);
}
