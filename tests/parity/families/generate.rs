//! Greedy continuations against transformers' `generate`.

use burn::tensor::Device;
use rarebit_models::generation::{GenerationConfig, LogitsProcessors, Request, generate};

use super::fixture::{Greedy, Settings, Variant};

/// The continuations are longer than every window; those called `crossing` grow past the length at
/// which LongRoPE takes other factors. transformers then reads the whole text anew, and so must we.
pub(super) fn compare(variant: &Variant, device: &Device) -> f32 {
    let model = variant.model(device);
    for (what, Greedy { prompts, new_ids }) in &variant.expected.greedy {
        let request = Request {
            prompts,
            first_prompt: 0,
            first_sample: 0,
            samples: 1,
            eos: &[],
            pad: 0,
        };
        let config = GenerationConfig {
            max_new_tokens: new_ids[0].len(),
            do_sample: false,
            logits: LogitsProcessors {
                repetition_penalty: Settings::read().repetition_penalty,
                ..LogitsProcessors::default()
            },
            seed: 0,
        };
        let written = generate(&model, request, &config, &mut |_, _| {}).expect("generated");
        let found: Vec<Vec<u32>> = written.into_iter().map(|one| one.tokens).collect();
        assert_eq!(&found, new_ids, "{}: {what}", variant.name);
    }
    0.0
}
