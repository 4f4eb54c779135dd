import { spawnSync } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { beforeAll, describe, expect, test } from 'vitest';
import { type ClipSpec, renderClip, tinyClip } from '../../sandbox/src/media/render.ts';
import { type FaststartPlan, moovBytesMax, planFaststart } from '../src/storage/faststart.ts';
import { Mp4Error } from '../src/storage/mp4-boxes.ts';

const spec: ClipSpec = {
  prompt: 'A red fox running through fresh snow',
  width: 1280,
  height: 720,
  fps: 24,
  frames: 121,
  sound: true,
  seed: 1,
};
let clip: Buffer;
let tiny: Buffer;
beforeAll(async () => {
  clip = Buffer.from(await renderClip(spec));
  tiny = Buffer.from(await tinyClip(spec));
});

function box(type: string, ...parts: Uint8Array[]): Buffer {
  const body = Buffer.concat(parts);
  const header = Buffer.alloc(8);
  header.writeUInt32BE(body.length + 8);
  header.write(type, 4, 'latin1');
  return Buffer.concat([header, body]);
}

/** A box whose size is written in 64 bits. */
function largeBox(type: string, body: Uint8Array, claim = body.length + 16): Buffer {
  const header = Buffer.alloc(16);
  header.writeUInt32BE(1);
  header.write(type, 4, 'latin1');
  header.writeBigUInt64BE(BigInt(claim), 8);
  return Buffer.concat([header, body]);
}

function topLevel(bytes: Buffer): { type: string; bytes: Buffer }[] {
  const boxes: { type: string; bytes: Buffer }[] = [];
  for (let at = 0; at < bytes.length; at += boxes.at(-1)!.bytes.length) {
    const short = bytes.readUInt32BE(at);
    const size = short === 1 ? Number(bytes.readBigUInt64BE(at + 8)) : short === 0 ? bytes.length - at : short;
    boxes.push({ type: bytes.toString('latin1', at + 4, at + 8), bytes: bytes.subarray(at, at + size) });
  }
  return boxes;
}

const types = (bytes: Buffer): string[] => topLevel(bytes).map((found) => found.type);
const part = (bytes: Buffer, type: string): Buffer => topLevel(bytes).find((found) => found.type === type)!.bytes;

/** All offsets of all chunk tables, in file order. */
function chunkOffsets(moov: Buffer): number[] {
  return [...moov.toString('latin1').matchAll(/stco|co64/g)].flatMap(({ index, 0: type }) => {
    const step = type === 'co64' ? 8 : 4;
    return Array.from({ length: moov.readUInt32BE(index + 8) }, (_, entry) => {
      const at = index + 12 + entry * step;
      return step === 8 ? Number(moov.readBigUInt64BE(at)) : moov.readUInt32BE(at);
    });
  });
}

/** The same index with every 32-bit offset moved. */
function shiftOffsets(moov: Buffer, by: number): Buffer {
  const shifted = Buffer.from(moov);
  for (const { index } of moov.toString('latin1').matchAll(/stco/g)) {
    for (let entry = 0; entry < moov.readUInt32BE(index + 8); entry++) {
      const at = index + 12 + entry * 4;
      shifted.writeUInt32BE(moov.readUInt32BE(at) + by, at);
    }
  }
  return shifted;
}

function plan(bytes: Buffer): Promise<FaststartPlan> {
  return planFaststart(bytes.length, (start, end) => {
    if (start < 0 || end < start || end >= bytes.length) throw new Error(`read outside of the file: ${start}-${end}`);
    return Promise.resolve(bytes.subarray(start, end + 1));
  });
}

function apply(source: Buffer, { segments }: FaststartPlan): Buffer {
  return Buffer.concat(
    segments.map((segment) =>
      segment.kind === 'bytes' ? segment.data : source.subarray(segment.start, segment.end + 1),
    ),
  );
}

const reasonOf = (bytes: Buffer): Promise<unknown> =>
  plan(bytes).then(
    () => 'accepted',
    (error: unknown) => (error instanceof Mp4Error ? error.reason : error),
  );

/** Every chunk of the new file holds what the old one held. */
function expectSameMedia(before: Buffer, after: Buffer): void {
  const old = chunkOffsets(part(before, 'moov'));
  const moved = chunkOffsets(part(after, 'moov'));
  expect(moved).toHaveLength(old.length);
  expect(moved.length).toBeGreaterThan(0);
  for (const [index, offset] of moved.entries()) {
    const from = old[index]!;
    expect(after.subarray(offset, offset + 64).equals(before.subarray(from, from + 64))).toBe(true);
  }
}

describe('a file with its index at the end', () => {
  test('comes out with the index in front, every chunk found again, and the facts known', async () => {
    const result = await plan(clip);
    const fast = apply(clip, result);
    expect(types(clip)).toEqual(['ftyp', 'mdat', 'moov']);
    expect(types(fast)).toEqual(['ftyp', 'moov', 'mdat']);
    expect(fast.length).toBe(result.bytes);
    expectSameMedia(clip, fast);
    expect(result.facts).toEqual({ seconds: 121 / 24, width: 1280, height: 720, videoCodec: 'avc1', hasAudio: true });
  });

  test('is not read beyond headers and index', async () => {
    let total = 0;
    await planFaststart(clip.length, (start, end) => {
      total += end - start + 1;
      return Promise.resolve(clip.subarray(start, end + 1));
    });
    expect(total).toBeLessThan(part(clip, 'moov').length + 2 * 32 * 1024 + 1);
  });

  test('loses filler boxes, keeps unknown ones, and takes 64-bit sizes', async () => {
    const [fileType, media, moov] = topLevel(clip).map((found) => found.bytes) as [Buffer, Buffer, Buffer];
    const before = [fileType, box('free', Buffer.alloc(100)), box('uuid', Buffer.alloc(30))];
    const large = largeBox('mdat', media.subarray(8));
    const shift = Buffer.concat(before).length + 16 - (fileType.length + 8);
    const file = Buffer.concat([...before, large, box('skip'), shiftOffsets(moov, shift), box('free')]);
    const result = await plan(file);
    const fast = apply(file, result);
    expect(types(fast)).toEqual(['ftyp', 'moov', 'uuid', 'mdat']);
    expect(fast.length).toBe(result.bytes);
    expectSameMedia(file, fast);
  });

  test('gets 64-bit offsets when moving pushes media beyond 4 GiB', async () => {
    const [fileType, , moov] = topLevel(tiny).map((found) => found.bytes) as [Buffer, Buffer, Buffer];
    const size = 2 ** 32 + fileType.length + moov.length;
    const head = Buffer.concat([fileType, largeBox('mdat', Buffer.alloc(0), 2 ** 32)]);
    const by = 2 ** 32 - 40_000;
    const tail = shiftOffsets(moov, by);
    const result = await planFaststart(size, (start, end) => {
      const bytes = Buffer.alloc(end - start + 1);
      if (start < head.length) head.copy(bytes, 0, start);
      if (end >= size - tail.length) tail.copy(bytes, Math.max(0, size - tail.length - start));
      return Promise.resolve(bytes);
    });
    const [, index] = result.segments;
    const data = Buffer.from(index?.kind === 'bytes' ? index.data : []);
    expect(data.includes('stco')).toBe(false);
    expect(data.includes('co64')).toBe(true);
    expect(chunkOffsets(data)).toEqual(chunkOffsets(moov).map((offset) => offset + by + data.length));
    expect(Math.max(...chunkOffsets(data))).toBeGreaterThan(0);
    expect(result.bytes).toBe(fileType.length + data.length + 2 ** 32);
    expect(data.readUInt32BE(0)).toBe(data.length);
  });

  test('may let its last box run to the end of the file', async () => {
    const open = Buffer.from(tiny);
    open.writeUInt32BE(0, tiny.length - part(tiny, 'moov').length);
    expect(types(apply(open, await plan(open)))).toEqual(['ftyp', 'moov', 'mdat']);
  });
});

test('a file that already streams passes through unchanged', async () => {
  const fast = apply(tiny, await plan(tiny));
  const again = await plan(fast);
  expect(again.segments).toEqual([{ kind: 'copy', start: 0, end: fast.length - 1 }]);
  expect(again.bytes).toBe(fast.length);
  expect(again.facts.seconds).toBeCloseTo(5.0417, 4);
});

describe('what is not a whole MP4 file is refused with its reason', () => {
  test('cut off anywhere', async () => {
    const fast = apply(tiny, await plan(tiny));
    for (const file of [tiny, fast]) {
      for (let length = 0; length < file.length; length += 97) {
        expect(['truncated', 'no_moov'], `cut at ${length}`).toContain(await reasonOf(file.subarray(0, length)));
      }
      expect(await reasonOf(file.subarray(0, file.length - 1))).toBe('truncated');
    }
  });

  test('a source that gives less than it promised', async () => {
    const promised = planFaststart(tiny.length + 100, (start, end) => Promise.resolve(tiny.subarray(start, end + 1)));
    await expect(promised).rejects.toMatchObject({ name: 'Mp4Error', reason: 'truncated' });
  });

  test('no index, no media, no video, two indexes', async () => {
    const [fileType, media, moov] = topLevel(tiny).map((found) => found.bytes) as [Buffer, Buffer, Buffer];
    expect(await reasonOf(Buffer.concat([fileType, media]))).toBe('no_moov');
    expect(await reasonOf(Buffer.concat([fileType, moov]))).toBe('truncated');
    expect(await reasonOf(Buffer.concat([fileType, media, moov, moov]))).toBe('not_mp4');
    const deaf = Buffer.from(moov.toString('latin1').replace('vide', 'text'), 'latin1');
    expect(await reasonOf(Buffer.concat([fileType, media, deaf]))).toBe('no_video');
    expect(await reasonOf(Buffer.concat([fileType, media, box('moov')]))).toBe('no_video');
  });

  test('another format', async () => {
    expect(await reasonOf(Buffer.from('<!doctype html><title>Forbidden</title>'))).toBe('not_mp4');
    expect(await reasonOf(Buffer.alloc(1000))).toBe('not_mp4');
    expect(await reasonOf(Buffer.concat([part(tiny, 'ftyp'), ...Array<Buffer>(300).fill(box('free'))]))).toBe(
      'not_mp4',
    );
  });

  test('an index over the limit, without reading it', async () => {
    const head = Buffer.concat([part(tiny, 'ftyp'), box('mdat', Buffer.alloc(40_000))]);
    const moov = box('moov', Buffer.alloc(8)).fill(0, 0, 4);
    const size = head.length + moovBytesMax + 1;
    const result = planFaststart(size, (start, end) => {
      expect(end - start).toBeLessThan(100_000);
      const bytes = Buffer.alloc(end - start + 1);
      if (start < head.length) head.copy(bytes, 0, start);
      if (start === head.length) moov.copy(bytes);
      return Promise.resolve(bytes);
    });
    await expect(result).rejects.toMatchObject({ reason: 'moov_too_large' });
  });

  test('an index whose tables lie about their length or point outside', async () => {
    const at = tiny.lastIndexOf('stco');
    const claims = Buffer.from(tiny);
    claims.writeUInt32BE(0xffff_ffff, at + 8);
    expect(await reasonOf(claims)).toBe('not_mp4');
    claims.writeUInt32BE(tiny.readUInt32BE(at + 8) + 1, at + 8);
    expect(await reasonOf(claims)).toBe('not_mp4');
    const outside = Buffer.from(tiny);
    outside.writeUInt32BE(tiny.length, at + 12);
    expect(await reasonOf(outside)).toBe('truncated');
    const intoIndex = Buffer.from(tiny);
    intoIndex.writeUInt32BE(tiny.length - 1, at + 12);
    expect(await reasonOf(intoIndex)).toBe('not_mp4');
  });
});

test('boxes nested or repeated a million times neither overflow the stack nor fill the memory', async () => {
  const [fileType, media, moov] = topLevel(tiny).map((found) => found.bytes) as [Buffer, Buffer, Buffer];
  const room = 8 * 1024 * 1024;
  const grow = (extra: Buffer): Buffer => Buffer.concat([fileType, media, box('moov', moov.subarray(8), extra)]);
  for (const type of ['moov', 'trak', 'stbl']) {
    const nested = Buffer.alloc(room);
    for (let at = 0; at + 8 <= room; at += 8) {
      nested.writeUInt32BE(room - at, at);
      nested.write(type, at + 4, 'latin1');
    }
    const file = grow(nested);
    expect(apply(file, await plan(file)).length).toBe(file.length);
  }
  const media9k = box('trak', ...Array<Buffer>(9_000).fill(box('mdia')));
  expect(await reasonOf(grow(Buffer.concat(Array<Buffer>(100).fill(media9k))))).toBe('not_mp4');
  expect(await reasonOf(grow(Buffer.concat(Array<Buffer>(100_000).fill(box('trak')))))).toBe('not_mp4');
});

test('whatever is broken in a file, the answer is a sound plan or an Mp4Error, within the file and the limit', async () => {
  const moovAt = tiny.length - part(tiny, 'moov').length;
  const position = fc.oneof(fc.nat(64), fc.integer({ min: moovAt, max: tiny.length - 5 }));
  const value = fc.oneof(fc.constantFrom(0, 1, 7, 8, 0x7fff_ffff, 0xffff_ffff), fc.nat(0xffff), fc.nat(0xffff_ffff));
  const edits = fc.array(fc.tuple(position, value, fc.boolean()), { minLength: 1, maxLength: 6 });
  await fc.assert(
    fc.asyncProperty(edits, fc.option(fc.nat(tiny.length)), async (changes, cut) => {
      const file = Buffer.from(tiny);
      for (const [at, number, wide] of changes) {
        if (wide) file.writeUInt32BE(number, at);
        else file.writeUInt8(number & 0xff, at);
      }
      const bytes = cut === null ? file : file.subarray(0, cut);
      const result = await plan(bytes).catch((error: unknown) => error);
      if (result instanceof Mp4Error) return;
      if (result instanceof Error) throw result;
      const sound = result as FaststartPlan;
      expect(apply(bytes, sound).length).toBe(sound.bytes);
      expect(sound.facts.seconds).toBeGreaterThan(0);
    }),
    { numRuns: 2000 },
  );
});

const decoder = spawnSync('ffmpeg', ['-version']).status === 0;
// oxlint-disable-next-line no-console -- a skipped check must say so
if (!decoder) console.log('skipped: decoding by ffmpeg (no ffmpeg on this machine)');

test.skipIf(!decoder)('ffmpeg decodes exactly the same pictures and sound before and after', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'faststart-'));
  const hash = async (name: string, bytes: Buffer): Promise<string> => {
    await writeFile(join(folder, name), bytes);
    const run = spawnSync('ffmpeg', ['-v', 'warning', '-i', join(folder, name), '-f', 'framemd5', '-'], {
      encoding: 'utf8',
    });
    expect([run.status, run.stderr]).toEqual([0, '']);
    return run.stdout;
  };
  try {
    const fast = apply(clip, await plan(clip));
    expect(await hash('fast.mp4', fast)).toBe(await hash('slow.mp4', clip));
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
});
