// Numbers and texts as people read them.

export const fixed = (value: number, digits = 2) => (Object.is(value, -0) ? 0 : value).toFixed(digits);

export const percent = (share: number) => `${Math.round(share * 100)} %`;

export const count = (n: number, one: string, many = `${one}s`) => `${n.toLocaleString("en")} ${n === 1 ? one : many}`;

const graphemes = new Intl.Segmenter(undefined, { granularity: "grapheme" });

/** The beginning of a text on one line, cut between characters as people see them. */
export function gist(text: string, length = 60): string {
  // Whatever stands far behind the cut need not be looked at.
  const line = text.slice(0, length * 8).replace(/\s+/g, " ").trim();
  let short = "";
  let shown = 0;
  for (const { segment } of graphemes.segment(line)) {
    if (++shown > length) return `${short.trimEnd()}…`;
    short += segment;
  }
  return short.length < text.trim().length && short.length === line.length && text.length > length * 8 ? `${short}…` : short;
}

/** A size in bytes for people. */
export function size(bytes: number): string {
  const units = ["bytes", "kB", "MB", "GB"];
  let unit = 0;
  while (bytes >= 1000 && unit < units.length - 1) {
    bytes /= 1000;
    unit++;
  }
  return `${unit === 0 || bytes >= 100 ? Math.round(bytes) : bytes.toFixed(1)} ${units[unit]}`;
}
