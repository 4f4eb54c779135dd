/** Writes H.264 bit strings; grows as needed. State is the point, hence a class. */
export class BitWriter {
  private bytes: Uint8Array;
  private length = 0;
  private pending = 0;
  private pendingBits = 0;

  constructor(sizeBytesHint = 4096) {
    this.bytes = new Uint8Array(Math.max(64, sizeBytesHint));
  }

  /** Makes room for `count` more bytes, so that the hot calls need no check of their own. */
  reserve(count: number): void {
    if (this.length + count + 8 <= this.bytes.length) return;
    const larger = new Uint8Array(Math.max(this.bytes.length * 2, this.length + count + 8));
    larger.set(this.bytes.subarray(0, this.length));
    this.bytes = larger;
  }

  /** `u(n)`: the low `count` bits of `value`, most significant first; `count` is at most 24. */
  put(value: number, count: number): void {
    this.pending = (this.pending << count) | value;
    this.pendingBits += count;
    while (this.pendingBits >= 8) {
      this.pendingBits -= 8;
      this.bytes[this.length++] = this.pending >>> this.pendingBits;
    }
  }

  /** `ue(v)`: unsigned Exp-Golomb, for values below 2^24 - 1. */
  unsigned(value: number): void {
    const size = 32 - Math.clz32(value + 1);
    if (size > 1) this.put(0, size - 1);
    this.put(value + 1, size);
  }

  /** `se(v)`: signed Exp-Golomb. */
  signed(value: number): void {
    this.unsigned(value <= 0 ? -2 * value : 2 * value - 1);
  }

  /** Zero bits up to the next byte. */
  align(): void {
    if (this.pendingBits > 0) this.put(0, 8 - this.pendingBits);
  }

  /** Whole bytes; only after {@link align}. */
  append(data: Uint8Array): void {
    this.reserve(data.length);
    this.bytes.set(data, this.length);
    this.length += data.length;
  }

  /** Closes a raw byte sequence payload (stop bit, alignment) and hands it out. */
  finish(): Uint8Array {
    this.reserve(8);
    this.put(1, 1);
    this.align();
    return this.bytes.subarray(0, this.length);
  }
}
