/**
 * A server that speaks the gRPC language of Google Cloud Pub/Sub, in this process: topics, subscriptions, streaming pull with flow
 * control, leases, dead-letter topics. No ordering, no filters, no exactly-once delivery.
 */
import { createRequire } from 'node:module';
import path from 'node:path';
import * as grpc from '@grpc/grpc-js';
import { loadSync } from '@grpc/proto-loader';
import {
  createSubscription,
  type PubSubMessage,
  type Subscription,
  type SubscriptionConfig,
} from './pubsub-subscription.ts';
import { freePort } from './spawn.ts';

export interface PubSubServer {
  /** `host:port`, as PUBSUB_EMULATOR_HOST wants it. */
  readonly host: string;
  readonly projectId: string;
  /** Messages of a subscription that wait or are in hand; null when there is none of that name. */
  count(subscription: string): number | null;
  config(subscription: string): SubscriptionConfig | null;
  /** How many streams are open. */
  streams(): number;
  /** Takes one message for some seconds, as a consumer that says nothing more. @returns whether there was one */
  take(subscription: string, seconds: number): boolean;
  /** Everyone who has a message of the subscription in hand loses it, without being told. */
  loseLeases(subscription: string): void;
  publish(topic: string, data: string): void;
  /** Empties all subscriptions. */
  purge(): void;
  /** Forgets topics and subscriptions with all that is in them; whoever listens is told that they are gone. */
  forget(): void;
  /** Nobody answers from now on; what waits stays. */
  goAway(): Promise<void>;
  /** Serves again, at the same address. */
  comeBack(): Promise<void>;
  stop(): Promise<void>;
}

interface StreamingPullRequest {
  readonly subscription?: string;
  readonly streamAckDeadlineSeconds?: number;
  readonly maxOutstandingMessages?: string;
  readonly ackIds?: readonly string[];
  readonly modifyDeadlineAckIds?: readonly string[];
  readonly modifyDeadlineSeconds?: readonly number[];
}

type PullCall = grpc.ServerDuplexStream<StreamingPullRequest, object>;

/** @param options.projectId in which everything is; `test` by default */
export async function startPubSub(options: { readonly projectId?: string } = {}): Promise<PubSubServer> {
  const { projectId = 'test' } = options;
  const host = `127.0.0.1:${await freePort()}`;
  const topics = new Map<string, object>();
  const subscriptions = new Map<string, Subscription>();
  const pulls = new Map<PullCall, string>();
  let lastMessageId = 0;

  function publish(topic: string, messages: readonly PubSubMessage[]): string[] {
    if (!topics.has(topic)) throw failure(grpc.status.NOT_FOUND, `Topic not found: ${topic}`);
    return messages.map((message) => {
      const messageId = String(++lastMessageId);
      const publishTime = { seconds: String(Math.floor(Date.now() / 1_000)), nanos: 0 };
      for (const subscription of subscriptions.values()) {
        if (subscription.config.topic === topic) subscription.add({ ...message, messageId, publishTime });
      }
      return messageId;
    });
  }

  function find(name: string): Subscription {
    const subscription = subscriptions.get(name);
    if (!subscription) throw failure(grpc.status.NOT_FOUND, `Subscription not found: ${name}`);
    return subscription;
  }

  const publisher = {
    createTopic: unary((request: { name: string }) => {
      if (topics.has(request.name)) throw failure(grpc.status.ALREADY_EXISTS, 'Topic already exists');
      topics.set(request.name, request);
      return request;
    }),
    getTopic: unary(({ topic }: { topic: string }) => {
      const found = topics.get(topic);
      if (!found) throw failure(grpc.status.NOT_FOUND, `Topic not found: ${topic}`);
      return found;
    }),
    publish: unary((request: { topic: string; messages: PubSubMessage[] }) => ({
      messageIds: publish(request.topic, request.messages),
    })),
  };

  const subscriber = {
    createSubscription: unary((config: SubscriptionConfig) => {
      if (subscriptions.has(config.name)) throw failure(grpc.status.ALREADY_EXISTS, 'Subscription already exists');
      if (!topics.has(config.topic)) throw failure(grpc.status.NOT_FOUND, `Topic not found: ${config.topic}`);
      subscriptions.set(
        config.name,
        createSubscription(config, (topic, message) => void publish(topic, [message])),
      );
      return config;
    }),
    getSubscription: unary(({ subscription }: { subscription: string }) => find(subscription).config),
    acknowledge: unary((request: { subscription: string; ackIds: string[] }) => {
      for (const ackId of request.ackIds) find(request.subscription).acknowledge(ackId);
      return {};
    }),
    modifyAckDeadline: unary((request: { subscription: string; ackIds: string[]; ackDeadlineSeconds?: number }) => {
      for (const ackId of request.ackIds) find(request.subscription).extend(ackId, request.ackDeadlineSeconds ?? 0);
      return {};
    }),
    streamingPull,
  };

  function streamingPull(call: PullCall): void {
    let detach: (() => void) | undefined;
    const end = (): void => {
      pulls.delete(call);
      detach?.();
    };
    call.on('data', (request: StreamingPullRequest) => {
      const name = request.subscription;
      if (detach || !name) return;
      const subscription = subscriptions.get(name);
      if (!subscription) {
        call.emit('error', failure(grpc.status.NOT_FOUND, `Subscription not found: ${name}`));
        return;
      }
      const stream = {
        maxOutstanding: Number(request.maxOutstandingMessages ?? 0),
        deadlineSeconds: request.streamAckDeadlineSeconds ?? 0,
        deliver: (delivery: object) => void call.write({ receivedMessages: [delivery] }),
      };
      detach = () => subscription.detach(stream);
      pulls.set(call, name);
      subscription.attach(stream);
    });
    call.on('end', () => {
      end();
      call.end();
    });
    call.on('cancelled', end);
    call.on('error', end);
  }

  async function serve(): Promise<grpc.Server> {
    const server = new grpc.Server();
    const services = loadServices();
    server.addService(services.Publisher, publisher);
    server.addService(services.Subscriber, subscriber);
    await new Promise<void>((resolve, reject) => {
      server.bindAsync(host, grpc.ServerCredentials.createInsecure(), (error) => (error ? reject(error) : resolve()));
    });
    return server;
  }

  let server: grpc.Server | undefined = await serve();
  async function goAway(): Promise<void> {
    server?.forceShutdown();
    server = undefined;
  }
  const nameOf = (subscription: string): string => `projects/${projectId}/subscriptions/${subscription}`;
  const named = (subscription: string): Subscription | undefined => subscriptions.get(nameOf(subscription));

  return {
    host,
    projectId,
    count: (subscription) => named(subscription)?.count() ?? null,
    config: (subscription) => named(subscription)?.config ?? null,
    streams: () => pulls.size,
    take: (subscription, seconds) => named(subscription)?.pull(1, seconds).length === 1,
    loseLeases: (subscription) => named(subscription)?.loseLeases(),
    publish: (topic, data) => void publish(`projects/${projectId}/topics/${topic}`, [{ data: Buffer.from(data) }]),
    purge() {
      for (const subscription of subscriptions.values()) subscription.purge();
    },
    forget() {
      for (const subscription of subscriptions.values()) subscription.purge();
      topics.clear();
      subscriptions.clear();
      for (const [call, name] of pulls) {
        call.emit('error', failure(grpc.status.NOT_FOUND, `Subscription not found: ${name}`));
      }
    },
    goAway,
    async comeBack() {
      server ??= await serve();
    },
    async stop() {
      await goAway();
      for (const subscription of subscriptions.values()) subscription.purge();
    },
  };
}

/** The protocol as the client's own package describes it. */
function loadServices(): { readonly Publisher: grpc.ServiceDefinition; readonly Subscriber: grpc.ServiceDefinition } {
  const fromClient = createRequire(createRequire(import.meta.url).resolve('@google-cloud/pubsub'));
  const protos = (resolved: string): string => path.join(path.dirname(resolved), '../protos');
  const definition = loadSync('google/pubsub/v1/pubsub.proto', {
    includeDirs: [protos(fromClient.resolve('@google-cloud/pubsub')), protos(fromClient.resolve('google-gax'))],
    longs: String,
    enums: String,
    defaults: false,
    oneofs: true,
  });
  // Service definitions lie under the names of their services.
  const service = (name: string) => definition[`google.pubsub.v1.${name}`] as grpc.ServiceDefinition;
  return { Publisher: service('Publisher'), Subscriber: service('Subscriber') };
}

function unary<Request, Response>(answer: (request: Request) => Response): grpc.handleUnaryCall<Request, Response> {
  return (call, callback) => {
    try {
      callback(null, answer(call.request));
    } catch (error) {
      callback(error instanceof Error ? error : new Error(String(error)));
    }
  };
}

function failure(code: grpc.status, message: string): Error & { readonly code: grpc.status } {
  return Object.assign(new Error(message), { code, details: message });
}
