import type { AspectRatio } from '../catalog/shape.ts';
import type { Generation, Level, Model } from '../catalog/models.ts';
import { Refusal } from './codes.ts';

/** What a client ordered, both generations in one shape; what a journal line carries. */
export interface Order {
  readonly generation: Generation;
  /** Canonical model version. */
  readonly version: string;
  /** The name that the client used. */
  readonly modelName: string;
  readonly prompt: string;
  readonly level: Level;
  /** Seconds that are billed. */
  readonly durationSeconds: number;
  readonly aspectRatio: AspectRatio;
  readonly sound: boolean;
  readonly voice: boolean;
  readonly watermark: boolean;
  readonly callbackUrl?: string;
  readonly externalId?: string;
  /** Accepted at create, refused by the generator: the reason with which the task will fail. */
  readonly doomed?: string;
}

export interface OrderPolicy {
  readonly strict: boolean;
  readonly retiredModels: 'accept' | 'refuse';
}

/** @throws Refusal with the observed wording when the model is retired and this sandbox refuses such */
export function refuseRetired(model: Model, name: string, policy: OrderPolicy): void {
  if (model.retired && policy.retiredModels === 'refuse') {
    throw new Refusal(1201, `The model '${name}' has been discontinued and is no longer available.`);
  }
}
