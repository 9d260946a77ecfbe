// Which files of a model's folder are read. Repositories hold the same weights in many formats.

/** Settings, tokenizer, chat templates; a sentence embedder's parts are in numbered folders. */
const SMALL = [
  /^(config|generation_config|tokenizer|tokenizer_config|special_tokens_map|modules|adapter_config)\.json$/,
  /^sentence_[\w-]+_config\.json$/,
  /^config_sentence_transformers\.json$/,
  /^chat_template\.jinja$/,
  /^additional_chat_templates\/[^/]+\.jinja$/,
  /^\d+_\w+\/config\.json$/,
];
const WEIGHTS = [/^adapter_model\.safetensors$/, /^\d+_Dense\/model\.safetensors$/];
const WHOLE = "model.safetensors";
const INDEX = "model.safetensors.index.json";
const SHARD = /^model-\d+-of-\d+\.safetensors$/;

/** The paths that are read, of all that there are. */
export function wanted(paths: string[]): string[] {
  const whole = paths.includes(WHOLE);
  const weights = (path: string) => (whole ? path === WHOLE : path === INDEX || SHARD.test(path));
  return paths.filter((path) => weights(path) || [...SMALL, ...WEIGHTS].some((pattern) => pattern.test(path)));
}

/** What to look for at an address that lists nothing: what must be there, and what may. */
export const GUESSES = [
  "config.json",
  "tokenizer.json",
  "tokenizer_config.json",
  "generation_config.json",
  "special_tokens_map.json",
  "chat_template.jinja",
  "modules.json",
  "sentence_bert_config.json",
  "config_sentence_transformers.json",
  "1_Pooling/config.json",
  "adapter_config.json",
  "adapter_model.safetensors",
  WHOLE,
  INDEX,
];

/** The shards that an index names. */
export function shards(index: string): string[] {
  const { weight_map: map } = JSON.parse(index) as { weight_map?: Record<string, string> };
  return [...new Set(Object.values(map ?? {}))].filter((name) => SHARD.test(name));
}
