// What the demo's models can be asked: prompts of `rarebit demo`'s world that they were not trained on.

/** From `World::seeded(42).prompts(Split::HeldOut)` of `crates/tales`. */
export const PROMPTS: readonly string[] = [
  "Write a short tale about a piper and a basket in the castle.",
  "In the valley there is a blacksmith with a shell. What happens?",
  "Tell me a tale of a blacksmith, a candle and the village.",
  "A teacher, a basket, the valley: write the tale.",
  "In the forest there is a painter with a lantern. What happens?",
  "Write a short tale about a soldier and a drum in the village.",
  "Tell me a tale of a teacher, a pearl and the orchard.",
  "A blacksmith, a lantern, the swamp: write the tale.",
  "Write a short tale about a carpenter and a compass in the tavern.",
  "A painter, a pearl, the tower: write the tale.",
  "Write a short tale about a queen and a lantern in the desert.",
  "A queen, a violin, the desert: write the tale.",
  "In the harbor there is a clown with a coin. What happens?",
  "Write a short tale about a sailor and a cup in the garden.",
  "Tell me a tale of a monk, a spoon and the swamp.",
  "A tailor, a key, the garden: write the tale.",
];
