/** Bytes of a header of ICU's data from its start to its format. */
const FORMAT_OFFSET = 12;

const ITEM = /^icudt\d+l\/zoneinfo64\.res$/;

/**
 * The timezones out of Node's own binary, as ICU's file `zoneinfo64.res`: Node carries ICU's data as one archive ("CmnD"), whose
 * table of contents is pairs of offsets, to a name and to an item. Undefined where the binary has none.
 */
export function nodeZoneinfo(binary: Buffer): Buffer | undefined {
  for (let mark = binary.indexOf('CmnD'); mark >= 0; mark = binary.indexOf('CmnD', mark + 1)) {
    const start = mark - FORMAT_OFFSET;
    const isHeader = start >= 0 && binary[start + 2] === 0xda && binary[start + 3] === 0x27;
    const item = isHeader ? itemOf(binary, start + binary.readUInt16LE(start)) : undefined;
    if (item !== undefined) return item;
  }
  return undefined;
}

/** Items lie in the order of their names, each up to the next one. */
function itemOf(binary: Buffer, contents: number): Buffer | undefined {
  const count = binary.readUInt32LE(contents);
  if (count > 100_000) return undefined;
  const entry = (index: number) => contents + 4 + 8 * index;
  for (let index = 0; index < count - 1; index += 1) {
    const name = contents + binary.readUInt32LE(entry(index));
    if (!ITEM.test(binary.toString('latin1', name, binary.indexOf(0, name)))) continue;
    const [from, to] = [index, index + 1].map((at) => contents + binary.readUInt32LE(entry(at) + 4));
    return binary.subarray(from, to);
  }
  return undefined;
}
