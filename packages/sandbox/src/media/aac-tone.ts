/**
 * AAC-LC without a codec: two constant 48 kHz mono access units of 1024 samples. `silence` is the all-zero frame; `tone` is one
 * steady-state frame of a soft chord whose three partials (422, 844, 1266 Hz) fit the frame a whole number of times, so
 * that frames may follow each other in any order and the decoder's window blends them.
 */
export const audioFormat = {
  sampleRate: 48_000,
  channels: 1,
  samplesPerFrame: 1024,
  specificConfig: [0x11, 0x88],
} as const;

const silence = new Uint8Array(Buffer.from('01182007', 'hex'));
const tone = new Uint8Array(
  Buffer.from(
    '00e62badc24029fa61ad83f900325775ca99db51848c3eec4fb5fe46087e38fba91ed9126403a4f0db9091b9090e29f55c9f' +
      'd13e404b8a23619e28db8f26ec09e8be2910f819af23a3055028cb278506bd7af5ebd670',
    'hex',
  ),
);

/** Frames for `seconds` of sound, never longer than that: a short chime at each full second, or only silence. */
export function audioFrames(seconds: number, chime: boolean): Uint8Array[] {
  const count = Math.floor((seconds * audioFormat.sampleRate) / audioFormat.samplesPerFrame);
  return Array.from({ length: count }, (_, index) => {
    const position = ((index * audioFormat.samplesPerFrame) / audioFormat.sampleRate) % 1;
    return chime && position < 0.25 ? tone : silence;
  });
}
