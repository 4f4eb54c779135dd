import { setImmediate as nextTurn } from 'node:timers/promises';
import { audioFrames } from './aac-tone.ts';
import { pictureParameters, sequenceParameters, userData } from './h264-syntax.ts';
import { type VideoSample, concat, writeMp4 } from './mp4-writer.ts';
import { type Picture, encodeDeltaPicture, encodeKeyPicture } from './picture-encoder.ts';
import { createScene, createStill } from './scene.ts';

/** What a clip must be; `seed` chooses colours and makes the bytes unique. */
export interface ClipSpec {
  prompt: string;
  /** Pixels, even, 32 to 4096. */
  width: number;
  /** Pixels, even, 32 to 4096. */
  height: number;
  /** Whole frames per second, 1 to 60. */
  fps: number;
  /** Exactly so many are shown, 1 to 36,000. */
  frames: number;
  /** Adds an AAC track (a soft chime each second). */
  sound: boolean;
  seed: number;
  /** Replaces the first line of the panel. */
  label?: string;
}

/** Seeking is exact to this; also how soon a player recovers. */
const keyIntervalSeconds = 2;
/** Longest stretch of work before other work of the process gets its turn. */
const turnMs = 8;
const seedSlot = 24;

let lastRender: Promise<unknown> = Promise.resolve();

/**
 * Renders a real H.264 MP4 (Constrained Baseline, AAC-LC when `sound`), `moov` last. The same spec gives the same bytes. Clips are
 * rendered one after the other, in short turns, so that the process goes on answering however many are asked for at once.
 * Throws a RangeError for a spec outside the limits of {@link ClipSpec}.
 */
export async function renderClip(spec: ClipSpec): Promise<Uint8Array> {
  checkSpec(spec);
  const render = lastRender.then(async () => assemble(spec, await renderSamples(spec), true));
  lastRender = render.then(
    () => undefined,
    () => undefined,
  );
  return render;
}

async function renderSamples(spec: ClipSpec): Promise<VideoSample[]> {
  const scene = createScene(spec);
  const keyInterval = spec.fps * keyIntervalSeconds;
  const samples: VideoSample[] = [];
  let previous: Picture | undefined;
  let turnEnds = performance.now() + turnMs;
  for (let frame = 0; frame < spec.frames; frame++) {
    const picture = scene(frame);
    const sinceKey = frame % keyInterval;
    const key = sinceKey === 0 || previous === undefined;
    const unit =
      key || previous === undefined
        ? encodeKeyPicture(picture, (frame / keyInterval) % 2)
        : encodeDeltaPicture(picture, previous.cells, sinceKey);
    samples.push({ data: frame === 0 ? lengthPrefixed([seedUnit(spec.seed), unit]) : lengthPrefixed([unit]), key });
    previous = picture;
    if (performance.now() < turnEnds) continue;
    await nextTurn();
    turnEnds = performance.now() + turnMs;
  }
  return samples;
}

const templates = new Map<string, Promise<Template>>();
const templatesMax = 64;

interface Template {
  readonly bytes: Uint8Array;
  readonly seedAt: number;
}

/**
 * A clip of at most 20 KB (up to 1080p and 15 s; 4K cannot be coded below 30 KB this way) with the same frames, size and tracks: one
 * still picture with the word SANDBOX, silent. Made once per shape, then copied with the seed written in, so that every seed has its
 * own bytes. Same errors as {@link renderClip}.
 */
export async function tinyClip(spec: ClipSpec): Promise<Uint8Array> {
  checkSpec(spec);
  const shape = [spec.width, spec.height, spec.fps, spec.frames, spec.sound].join();
  const known = templates.get(shape) ?? makeTemplate(spec);
  if (!templates.has(shape) && templates.size < templatesMax) templates.set(shape, known);
  const template = await known;
  const copy = template.bytes.slice();
  copy.set(seedText(spec.seed), template.seedAt);
  return copy;
}

async function makeTemplate(spec: ClipSpec): Promise<Template> {
  await nextTurn();
  const still = createStill(spec);
  const samples: VideoSample[] = [];
  for (let frame = 0; frame < spec.frames; frame++) {
    const unit = frame === 0 ? encodeKeyPicture(still, 0) : encodeDeltaPicture(still, still.cells, frame);
    samples.push({
      data: frame === 0 ? lengthPrefixed([seedUnit(0), unit]) : lengthPrefixed([unit]),
      key: frame === 0,
    });
  }
  const bytes = assemble(spec, samples, false);
  return { bytes, seedAt: Buffer.from(bytes.buffer).indexOf(seedText(0)) };
}

function assemble(spec: ClipSpec, samples: readonly VideoSample[], chime: boolean): Uint8Array {
  const video = {
    width: spec.width,
    height: spec.height,
    fps: spec.fps,
    sequenceParameters: sequenceParameters(spec, spec.fps),
    pictureParameters: pictureParameters(),
    samples,
  };
  return writeMp4(video, spec.sound ? audioFrames(samples.length / spec.fps, chime) : []);
}

function seedUnit(seed: number): Uint8Array {
  return userData(new TextDecoder().decode(seedText(seed)));
}

function seedText(seed: number): Uint8Array {
  return new TextEncoder().encode(String(seed).padStart(seedSlot, '.'));
}

function lengthPrefixed(units: readonly Uint8Array[]): Uint8Array {
  return concat(
    units.flatMap((unit) => {
      const length = new Uint8Array(4);
      new DataView(length.buffer).setUint32(0, unit.length);
      return [length, unit];
    }),
  );
}

function checkSpec(spec: ClipSpec): void {
  checkWhole('width', spec.width, { min: 32, max: 4096, step: 2 });
  checkWhole('height', spec.height, { min: 32, max: 4096, step: 2 });
  checkWhole('fps', spec.fps, { min: 1, max: 60, step: 1 });
  checkWhole('frames', spec.frames, { min: 1, max: 36_000, step: 1 });
}

function checkWhole(name: string, value: number, limits: { min: number; max: number; step: number }): void {
  const { min, max, step } = limits;
  if (value >= min && value <= max && value % step === 0) return;
  throw new RangeError(`${name} is ${value}: it must be a multiple of ${step} from ${min} to ${max}`);
}
