// Rows to groups: the shapes that the command line reads, told by their columns.

import { RarebitError, type Group, type Response } from "../types.ts";

export interface Row {
  /** Where it stands, for messages. */
  place: string;
  fields: Record<string, unknown>;
}

/** Groups in the order in which their prompts first occur. */
export function grouped(rows: Row[], name: string): Group[] {
  const groups = new Map<string, Group>();
  for (const row of rows) {
    const reader = new Reader(row, name);
    const { prompt, id, responses } = reader.group();
    // A list of responses is a set of its own; single ones are gathered by their prompt.
    const key = id ?? prompt;
    const group = groups.get(key) ?? { ...(id !== undefined && { id }), prompt, responses: [] };
    // One by one: a spread of very many would not fit the stack.
    responses.forEach((response) => group.responses.push(response));
    groups.set(key, group);
  }
  const found = [...groups.values()].filter((group) => group.responses.length > 0);
  if (found.length === 0) {
    throw new RarebitError("file", `${name} holds no responses.`);
  }
  return found;
}

class Reader {
  readonly fields: Row["fields"];
  readonly place: string;

  constructor(row: Row, name: string) {
    this.fields = row.fields;
    this.place = `${name}, ${row.place}`;
  }

  group(): { prompt: string; id: string | undefined; responses: Response[] } {
    return { prompt: this.prompt(), id: this.id(), responses: this.responses() };
  }

  private responses(): Response[] {
    const has = (name: string) => this.fields[name] !== undefined && this.fields[name] !== null;
    if (has("comment_texts")) return this.list("comment_texts", "comment_scores");
    if (has("responses")) return this.list("responses", "scores");
    if (has("generations")) return this.list("generations", "generation_scores");
    if (has("response")) return [this.response("response", "score")];
    if (has("chosen") && has("rejected")) {
      return [this.response("chosen", "score_chosen"), this.response("rejected", "score_rejected")];
    }
    if (has("text")) return [this.response("text", "score")];
    throw this.problem(
      `there is no "response", "responses", "generations" or "chosen" and "rejected" among ${Object.keys(this.fields).join(", ")}`,
    );
  }

  private prompt(): string {
    const { prompt, post_title: title, post_text: text } = this.fields;
    if (typeof title === "string") {
      const stripped = title.replace(/^\s*\[[^\]]*\]\s*/, "");
      return typeof text === "string" && text !== "" ? `${stripped}\n${text}` : stripped;
    }
    return prompt === undefined || prompt === null ? "" : this.text("prompt", prompt);
  }

  private id(): string | undefined {
    const id = this.fields["prompt_id"];
    return typeof id === "string" || typeof id === "number" ? String(id) : undefined;
  }

  private list(name: string, scores: string): Response[] {
    const list = this.decoded(this.fields[name]);
    const numbers = this.decoded(this.fields[scores]);
    if (!Array.isArray(list)) {
      throw this.problem(`"${name}" must be a list`);
    }
    return list.map((entry: unknown, i) => {
      if (typeof entry === "object" && entry !== null && !Array.isArray(entry)) {
        const { text, response, score } = entry as Record<string, unknown>;
        return { text: this.text(name, text ?? response), ...this.score(name, score) };
      }
      return { text: this.text(name, entry), ...this.score(scores, Array.isArray(numbers) ? numbers[i] : undefined) };
    });
  }

  private response(name: string, score: string): Response {
    return { text: this.text(name, this.fields[name]), ...this.score(score, this.fields[score]) };
  }

  /** A list inside CSV is written as JSON. */
  private decoded(value: unknown): unknown {
    if (typeof value !== "string") return value;
    try {
      return JSON.parse(value) as unknown;
    } catch {
      return value;
    }
  }

  /** Text, or the last message of a conversation. */
  private text(name: string, value: unknown): string {
    if (typeof value === "string") return value;
    if (Array.isArray(value)) {
      const content = (value.at(-1) as { content?: unknown } | undefined)?.content;
      if (typeof content === "string") return content;
    }
    throw this.problem(`"${name}" must be text`);
  }

  private score(name: string, value: unknown): { score?: number } {
    if (value === undefined || value === null || value === "") return {};
    const number = Number(value);
    if (!Number.isFinite(number)) {
      throw this.problem(`"${name}" must be a finite number, or be left out`);
    }
    return { score: number };
  }

  private problem(what: string): RarebitError {
    return new RarebitError("file", `${this.place}: ${what}.`);
  }
}
