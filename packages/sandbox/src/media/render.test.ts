import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ALL_FORMATS, BufferSource, EncodedPacketSink, Input } from 'mediabunny';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type ClipSpec, renderClip, tinyClip } from './render.ts';
import { createScene } from './scene.ts';

const base: ClipSpec = {
  prompt: 'A red fox running through fresh snow',
  width: 320,
  height: 192,
  fps: 24,
  frames: 61,
  sound: false,
  seed: 7,
};
const hostile = 'caf\u00e9 \u4f60\u597d \u{1f98a} \ud800 \u202e<script>alert(1)</script>\0%s ' + 'x'.repeat(5000);
const shapes = [
  { width: 1280, height: 720, fps: 24, frames: 121, sound: true },
  { width: 1080, height: 1920, fps: 24, frames: 25, sound: false },
  { width: 960, height: 960, fps: 30, frames: 31, sound: true },
  { width: 1116, height: 1852, fps: 24, frames: 25, sound: true },
  { width: 3840, height: 2160, fps: 24, frames: 13, sound: true },
  { width: 32, height: 32, fps: 1, frames: 1, sound: true },
].map((shape) => ({ ...base, ...shape }));

/** Names of the top-level boxes, in order. */
function boxes(bytes: Uint8Array): string[] {
  const names: string[] = [];
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  for (let at = 0; at < bytes.length; at += view.getUint32(at)) {
    names.push(Buffer.from(bytes.subarray(at + 4, at + 8)).toString('latin1'));
  }
  return names;
}

describe.each([
  ['a rendered clip', renderClip],
  ['a tiny clip', tinyClip],
] as const)('%s', (_, make) => {
  test.each(shapes)('has exactly the tracks, size and frames asked for: $width x $height', async (spec) => {
    const bytes = await make(spec);
    expect(boxes(bytes)).toEqual(['ftyp', 'mdat', 'moov']);
    const input = new Input({ source: new BufferSource(bytes), formats: ALL_FORMATS });
    const video = await input.getPrimaryVideoTrack();
    const audio = await input.getPrimaryAudioTrack();
    expect(await video!.getCodec()).toBe('avc');
    expect([await video!.getCodedWidth(), await video!.getCodedHeight()]).toEqual([spec.width, spec.height]);
    expect(await video!.computeDuration()).toBeCloseTo(spec.frames / spec.fps, 4);
    let packets = 0;
    for await (const packet of new EncodedPacketSink(video!).packets()) {
      expect(packet.timestamp).toBeCloseTo(packets / spec.fps, 6);
      packets++;
    }
    expect(packets).toBe(spec.frames);
    expect(audio === null).toBe(!spec.sound);
    if (audio) expect(await audio.getCodec()).toBe('aac');
    if (audio) expect(await audio.computeDuration()).toBeLessThanOrEqual(spec.frames / spec.fps);
  });

  test('is the same bytes for the same spec and others for another seed', async () => {
    const first = await make(base);
    expect(Buffer.from(await make({ ...base })).equals(first)).toBe(true);
    expect(Buffer.from(await make({ ...base, seed: 8 })).equals(first)).toBe(false);
    expect(Buffer.from(await make({ ...base, seed: 0.125 })).equals(await make(base))).toBe(false);
  });

  test('refuses sizes and counts that cannot be a clip, naming field and rule', async () => {
    await expect(make({ ...base, width: 321 })).rejects.toThrow(
      'width is 321: it must be a multiple of 2 from 32 to 4096',
    );
    await expect(make({ ...base, height: 5000 })).rejects.toThrow(RangeError);
    await expect(make({ ...base, frames: 0 })).rejects.toThrow(RangeError);
    await expect(make({ ...base, fps: Number.NaN })).rejects.toThrow(RangeError);
  });
});

test('five seconds of 720p stay far below the size of a provider file', async () => {
  const clip = await renderClip({ ...base, width: 1280, height: 720, frames: 121, prompt: hostile });
  expect(clip.length).toBeLessThan(4_000_000);
});

test('a tiny clip is at most 20 KB up to 1080p and 15 seconds with sound', async () => {
  for (const [width, height] of [
    [1280, 720],
    [1920, 1080],
    [1080, 1920],
    [1440, 1440],
  ] as const) {
    expect((await tinyClip({ ...base, width, height, frames: 361, sound: true })).length).toBeLessThanOrEqual(20_480);
  }
});

test('clips asked for at the same time do not disturb each other, and a bad one stops nobody', async () => {
  const specs = [1, 2, 3].map((seed) => ({ ...base, seed }));
  const together = await Promise.allSettled([
    ...specs.map(renderClip),
    renderClip({ ...base, frames: -1 }),
    renderClip(base),
  ]);
  expect(together.map((result) => result.status).join()).toBe('fulfilled,fulfilled,fulfilled,rejected,fulfilled');
  for (const [index, spec] of specs.entries()) {
    expect(together[index]).toEqual({ status: 'fulfilled', value: await renderClip(spec) });
  }
});

test('other work of the process goes on while a large clip is rendered', async () => {
  let turns = 0;
  let done = false;
  const count = (): void => {
    turns++;
    if (!done) setImmediate(count);
  };
  setImmediate(count);
  await renderClip({ ...base, width: 1920, height: 1080, frames: 121 });
  done = true;
  expect(turns).toBeGreaterThan(3);
});

const shown = 'codec_name,width,height,nb_read_frames,avg_frame_rate';
const decoder = spawnSync('ffmpeg', ['-version']).status === 0;
// oxlint-disable-next-line no-console -- a skipped check must say so
if (!decoder) console.log('skipped: decoding by ffmpeg (no ffmpeg on this machine)');

describe.skipIf(!decoder)('decoded by ffmpeg', () => {
  let folder = '';
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'sandbox-media-'));
  });
  afterAll(() => rm(folder, { recursive: true, force: true }));

  async function file(bytes: Uint8Array): Promise<string> {
    const path = join(folder, `${crypto.randomUUID()}.mp4`);
    await writeFile(path, bytes);
    return path;
  }

  test.each(shapes)('there is not one warning, and no frame is missing: $width x $height', async (spec) => {
    for (const bytes of [await renderClip({ ...spec, prompt: hostile }), await tinyClip(spec)]) {
      const path = await file(bytes);
      const run = spawnSync('ffmpeg', ['-v', 'warning', '-i', path, '-f', 'null', '-'], { encoding: 'utf8' });
      expect([run.status, run.stderr]).toEqual([0, '']);
      const facts = JSON.parse(
        execFileSync(
          'ffprobe',
          `-v error -select_streams v -count_frames -of json -show_entries stream=${shown} ${path}`.split(' '),
        ).toString(),
      ) as { streams: unknown };
      expect(facts.streams).toEqual([
        {
          codec_name: 'h264',
          width: spec.width,
          height: spec.height,
          avg_frame_rate: `${spec.fps}/1`,
          nb_read_frames: String(spec.frames),
        },
      ]);
    }
  });

  test('every pixel of every frame is the one that was drawn', async () => {
    const spec = { ...base, width: 720, height: 406, prompt: hostile };
    const path = await file(await renderClip(spec));
    const raw = execFileSync('ffmpeg', ['-v', 'error', '-i', path, '-f', 'rawvideo', '-pix_fmt', 'yuv420p', '-'], {
      maxBuffer: 1 << 30,
    });
    const frameBytes = (spec.width * spec.height * 3) / 2;
    expect(raw.length).toBe(spec.frames * frameBytes);
    const scene = createScene(spec);
    for (let frame = 0; frame < spec.frames; frame++) {
      const seen = raw.subarray(frame * frameBytes, (frame + 1) * frameBytes);
      expect(seen.equals(expectedFrame(spec, scene(frame))), `frame ${frame}`).toBe(true);
    }
  });
});

function expectedFrame(spec: ClipSpec, picture: ReturnType<ReturnType<typeof createScene>>): Buffer {
  const { width, height } = spec;
  const frame = Buffer.alloc((width * height * 3) / 2);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const cell = picture.cells[(y >> 4) * picture.columns + (x >> 4)]!;
      frame[y * width + x] = cell < 0 ? picture.tiles[-cell - 1]![(y & 15) * 16 + (x & 15)]! : cell >> 16;
      if (y % 2 === 1 || x % 2 === 1) continue;
      const chroma = width * height + ((y / 2) * width) / 2 + x / 2;
      frame[chroma] = cell < 0 ? 128 : (cell >> 8) & 0xff;
      frame[chroma + (width * height) / 4] = cell < 0 ? 128 : cell & 0xff;
    }
  }
  return frame;
}
