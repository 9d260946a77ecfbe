// CSV as RFC 4180 has it: quotes around fields, doubled inside, line breaks allowed there.

import { RarebitError } from "../types.ts";
import type { Row } from "./rows.ts";

/** The rows under the line of names. */
export function csvRows(text: string, separator: string, name: string): Row[] {
  const records = parse(text.replace(/^\uFEFF/, ""), separator, name);
  const [head, ...rest] = records;
  const columns = head?.fields.map((column) => column.trim()) ?? [];
  return rest
    .filter(({ fields }) => fields.some((field) => field !== ""))
    .map(({ line, fields }) => {
      if (fields.length !== columns.length) {
        throw new RarebitError(
          "file",
          `${name}, line ${line}: ${fields.length} fields where the first line names ${columns.length}. Are quotes missing around a text with a comma?`,
        );
      }
      const entries = columns.map((column, i) => [column, fields[i] === "" ? null : fields[i]]);
      return { place: `line ${line}`, fields: Object.fromEntries(entries) as Record<string, unknown> };
    });
}

interface CsvRecord {
  line: number;
  fields: string[];
}

function parse(text: string, separator: string, name: string): CsvRecord[] {
  const records: CsvRecord[] = [];
  let fields: string[] = [];
  let [at, line, start] = [0, 1, 1];
  while (at < text.length) {
    let field: string;
    if (text[at] === '"') {
      [field, at] = quoted(text, at + 1, name, line);
      line += newlines(field);
    } else {
      const from = at;
      while (at < text.length && text[at] !== separator && text[at] !== "\n") at++;
      field = text.slice(from, at).replace(/\r$/, "");
    }
    fields.push(field);
    if (text[at] === "\r") at++;
    if (text[at] === separator) {
      at++;
      if (at === text.length) fields.push("");
      continue;
    }
    records.push({ line: start, fields });
    fields = [];
    at++;
    start = ++line;
  }
  if (fields.length > 0) {
    records.push({ line: start, fields });
  }
  return records;
}

/** A quoted field from after its first quote, and the place after its last one. */
function quoted(text: string, from: number, name: string, line: number): [string, number] {
  let field = "";
  for (;;) {
    const end = text.indexOf('"', from);
    if (end < 0) {
      throw new RarebitError("file", `${name}, line ${line}: a quote is opened and never closed.`);
    }
    field += text.slice(from, end);
    if (text[end + 1] !== '"') {
      return [field, end + 1];
    }
    field += '"';
    from = end + 2;
  }
}

const newlines = (text: string) => text.split("\n").length - 1;
