/** 5 x 7 dots per character in a 6 x 9 cell; one byte per column, lowest bit on top. Printable ASCII from the space on. */
const columns = Buffer.from(
  '0000000000' +
    '00005f0000' +
    '0007000700' +
    '147f147f14' +
    '242a7f2a12' +
    '2313086462' +
    '3649562050' +
    '0008070300' +
    '001c224100' +
    '0041221c00' +
    '2a1c7f1c2a' +
    '08083e0808' +
    '0080703000' +
    '0808080808' +
    '0000606000' +
    '2010080402' +
    '3e5149453e' +
    '00427f4000' +
    '7249494946' +
    '2141494d33' +
    '1814127f10' +
    '2745454539' +
    '3c4a494931' +
    '4121110907' +
    '3649494936' +
    '464949291e' +
    '0000140000' +
    '0040340000' +
    '0008142241' +
    '1414141414' +
    '0041221408' +
    '0201590906' +
    '3e415d594e' +
    '7c1211127c' +
    '7f49494936' +
    '3e41414122' +
    '7f4141413e' +
    '7f49494941' +
    '7f09090901' +
    '3e41415173' +
    '7f0808087f' +
    '00417f4100' +
    '2040413f01' +
    '7f08142241' +
    '7f40404040' +
    '7f021c027f' +
    '7f0408107f' +
    '3e4141413e' +
    '7f09090906' +
    '3e4151215e' +
    '7f09192946' +
    '2649494932' +
    '03017f0103' +
    '3f4040403f' +
    '1f2040201f' +
    '3f4038403f' +
    '6314081463' +
    '0304780403' +
    '6159494d43' +
    '007f414141' +
    '0204081020' +
    '004141417f' +
    '0402010204' +
    '4040404040' +
    '0003070800' +
    '2054547840' +
    '7f28444438' +
    '3844444428' +
    '384444287f' +
    '3854545418' +
    '00087e0902' +
    '18a4a49c78' +
    '7f08040478' +
    '00447d4000' +
    '2040403d00' +
    '7f10284400' +
    '00417f4000' +
    '7c04780478' +
    '7c08040478' +
    '3844444438' +
    'fc18242418' +
    '18242418fc' +
    '7c08040408' +
    '4854545424' +
    '04043f4424' +
    '3c4040207c' +
    '1c2040201c' +
    '3c4030403c' +
    '4428102844' +
    '4c9090907c' +
    '4464544c44' +
    '0008364100' +
    '0000770000' +
    '0041360800' +
    '0201020402',
  'hex',
);

const unknown = Buffer.from('7f4141417f', 'hex');

/** Width and height of one character with the space around it, in dots. */
export const glyphCell = { width: 6, height: 9 } as const;

/** Whether the dot at this column (0-4) and row (0-7) is set; a character outside the font is an empty box. */
export function glyphDot(character: string, column: number, row: number): boolean {
  const index = character.charCodeAt(0) - 0x20;
  const known = character.length === 1 && index >= 0 && index * 5 < columns.length;
  const bits = known ? columns[index * 5 + column] : unknown[column];
  return (((bits ?? 0) >> row) & 1) === 1;
}

/** Lines of at most `width` characters, broken at spaces where possible; accents are dropped, controls become spaces. */
export function wrapText(value: string, width: number, linesMax: number): string[] {
  const words = printable(value)
    .split(' ')
    .filter((word) => word !== '');
  const lines: string[] = [];
  let line: string[] = [];
  for (const word of words) {
    let rest = Array.from(word);
    if (line.length > 0 && line.length + 1 + rest.length <= width) {
      line.push(' ', ...rest);
      continue;
    }
    if (line.length > 0) lines.push(line.join(''));
    for (; rest.length > width; rest = rest.slice(width)) lines.push(rest.slice(0, width).join(''));
    line = rest;
    if (lines.length > linesMax) break;
  }
  if (line.length > 0) lines.push(line.join(''));
  if (lines.length <= linesMax) return lines;
  const last = (lines[linesMax - 1] ?? '').slice(0, Math.max(0, width - 3));
  return [...lines.slice(0, linesMax - 1), `${last}...`];
}

function printable(value: string): string {
  return value
    .slice(0, 10_000)
    .normalize('NFKD')
    .replace(/\p{M}+/gu, '')
    .replace(/[\s\p{C}]+/gu, ' ')
    .replace(/[\u2018\u2019]/gu, "'")
    .replace(/[\u201c\u201d]/gu, '"')
    .replace(/[\u2010-\u2015]/gu, '-');
}
