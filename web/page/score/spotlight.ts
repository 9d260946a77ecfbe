// The texts that the pointer or the keyboard is at, shown in every figure at once.

type Listener = (indices: readonly number[]) => void;

let lit: readonly number[] = [];
const listeners: Listener[] = [];

export function onLight(listener: Listener): void {
  listeners.push(listener);
}

export function light(indices: readonly number[]): void {
  if (indices.length === lit.length && indices.every((index, i) => index === lit[i])) return;
  lit = indices;
  for (const listener of listeners) listener(indices);
}
