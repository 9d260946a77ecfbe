// A file or pasted text to groups of responses, told by its content.

import type { Context, Read } from "../protocol.ts";
import { RarebitError, type Split } from "../types.ts";
import { csvRows } from "./csv.ts";
import { grouped, type Row } from "./rows.ts";
import { splitText } from "./text.ts";

/** More than this is no longer comfortable in a browser's memory. */
const LARGEST = 256 * 1024 * 1024;

export async function readFile(_: Context, file: File | string, name: string, split: Split): Promise<Read> {
  const text = typeof file === "string" ? file : await decoded(file, name);
  if (text.trim() === "") {
    throw new RarebitError("file", `${name} is empty.`);
  }
  const rows = jsonRows(text, name) ?? csv(text, name);
  if (rows) {
    return { groups: grouped(rows, name), as: rows.as, splittable: false };
  }
  const { responses, as } = splitText(text, split);
  return { groups: [{ prompt: "", responses: responses.map((text) => ({ text })) }], as, splittable: true };
}

async function decoded(file: File, name: string): Promise<string> {
  if (file.size > LARGEST) {
    throw new RarebitError("file", `${name} is larger than 256 MB. The command line reads files of any size.`);
  }
  const bytes = await file.arrayBuffer();
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    throw new RarebitError("file", `${name} is not text in UTF-8. Save it as UTF-8, or as JSONL or CSV, and open it again.`);
  }
}

export interface Rows extends Array<Row> {
  as: string;
}

function rowsAs(rows: Row[], as: string): Rows {
  return Object.assign(rows, { as });
}

/** JSON Lines, or one JSON document that is a list or a single row. */
function jsonRows(text: string, name: string): Rows | undefined {
  const first = text.trimStart()[0];
  if (first !== "{" && first !== "[") {
    return undefined;
  }
  const whole = parsed(text);
  if (whole !== undefined) {
    const list = Array.isArray(whole) ? whole : [whole];
    return rowsAs(list.map((fields, i) => ({ place: `item ${i + 1}`, fields: object(fields, `${name}, item ${i + 1}`) })), "JSON");
  }
  const lines = text.split(/\r?\n/);
  if (first === "[" || parsed(lines.find((line) => line.trim() !== "") ?? "") === undefined) {
    // A story may begin with a bracket.
    return undefined;
  }
  const rows: Row[] = [];
  lines.forEach((line, i) => {
    if (line.trim() === "") return;
    const value = parsed(line);
    if (value === undefined) {
      throw new RarebitError("file", `${name}, line ${i + 1}: this is not JSON.`);
    }
    rows.push({ place: `line ${i + 1}`, fields: object(value, `${name}, line ${i + 1}`) });
  });
  return rowsAs(rows, "JSON Lines");
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return undefined;
  }
}

function object(value: unknown, place: string): Record<string, unknown> {
  if (typeof value === "string") {
    // A plain list of texts is one set.
    return { prompt: "", response: value };
  }
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw new RarebitError("file", `${place}: a row must be an object such as {"prompt": "..", "response": ".."}.`);
  }
  return value as Record<string, unknown>;
}

/** CSV or TSV, if the first line names a column that is known. */
function csv(text: string, name: string): Rows | undefined {
  const head = text.slice(0, text.search(/\r?\n|$/));
  const separator = head.includes("\t") ? "\t" : head.includes(";") && !head.includes(",") ? ";" : ",";
  const columns = head.split(separator).map((column) => column.trim().replace(/^"|"$/g, ""));
  const known = ["response", "responses", "chosen", "comment_texts", "generations"];
  if (!columns.some((column) => known.includes(column))) {
    if (/\.(csv|tsv)$/i.test(name)) {
      throw new RarebitError(
        "file",
        `${name} has the columns ${columns.join(", ")}. Name one of them "response" (and one "prompt", if there are several sets).`,
      );
    }
    return undefined;
  }
  return rowsAs(csvRows(text, separator, name), separator === "\t" ? "TSV" : "CSV");
}
