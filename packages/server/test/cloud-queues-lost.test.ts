import { onTestFinished, test, vi } from 'vitest';
import { startPubSub } from '../../../test/servers/pubsub.ts';
import { startSqs } from '../../../test/servers/sqs.ts';
import { makeVideosWhileLosing } from './support/losing.ts';

// The whole platform with its messages in the queue of a cloud, which loses them again and again while videos are being made.

interface Engine {
  readonly environment: Readonly<Record<string, string>>;
  purge(): void;
  forget(): void;
  goAway(): Promise<void>;
  comeBack(): Promise<void>;
}

async function openSqs(): Promise<Engine> {
  const server = await startSqs();
  onTestFinished(() => server.stop());
  vi.stubEnv('AWS_ACCESS_KEY_ID', 'test-key');
  vi.stubEnv('AWS_SECRET_ACCESS_KEY', 'test-secret');
  onTestFinished(() => void vi.unstubAllEnvs());
  return {
    ...server,
    environment: { SQS_QUEUE_PREFIX: 'lost', SQS_ENDPOINT: server.endpoint, AWS_REGION: server.region },
  };
}

async function openPubSub(): Promise<Engine> {
  const server = await startPubSub();
  onTestFinished(() => server.stop());
  return {
    ...server,
    environment: { PUBSUB_TOPIC_PREFIX: 'lost', PUBSUB_EMULATOR_HOST: server.host, GOOGLE_CLOUD_PROJECT: 'test' },
  };
}

const losses: readonly { name: string; open: () => Promise<Engine>; lose: (engine: Engine) => Promise<void> }[] = [
  { name: 'SQS', open: openSqs },
  { name: 'Pub/Sub', open: openPubSub },
].flatMap(({ name, open }) => [
  { name: `the queues of ${name} with all messages`, open, lose: async (engine: Engine) => engine.forget() },
  {
    name: `${name} itself, for a moment`,
    open,
    lose: async (engine: Engine) => {
      await engine.goAway();
      engine.purge();
      await engine.comeBack();
    },
  },
]);

test.each(losses)(
  'every video ends, paid once, whatever the queue of a cloud loses meanwhile: $name',
  { timeout: 120_000 },
  async ({ open, lose }) => {
    const engine = await open();
    await makeVideosWhileLosing(engine.environment, () => lose(engine));
  },
);
