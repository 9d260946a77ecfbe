//! Sampling against transformers' `generate` (`generate.py`), and what a seed promises.

use std::collections::HashSet;

use burn::tensor::Device;
use rarebit_models::ModelError;
use rarebit_models::causal_lm::CausalLm;
use rarebit_models::generation::{
    FinishReason, Generated, GenerationConfig, LogitsProcessors, Request, generate,
};
use serde::Deserialize;
use serde_json::Value;

use super::fixture::{Tensors, assert_close, json, path};

/// Settings as `GenerationConfig` of transformers writes them: what is not named does nothing.
fn processors(settings: &Value) -> LogitsProcessors {
    let mut all = serde_json::to_value(LogitsProcessors::default()).expect("plain numbers");
    for (key, value) in settings.as_object().expect("an object") {
        if let Some(known) = all.get_mut(key) {
            *known = value.clone();
        }
    }
    serde_json::from_value(all).expect("plain numbers")
}

#[derive(Deserialize)]
struct Processors {
    cases: Vec<ProcessorCase>,
}

#[derive(Deserialize)]
struct ProcessorCase {
    out: String,
    settings: Value,
    split_ties: Vec<usize>,
}

#[test]
fn logits_are_processed_as_transformers_does() {
    let tensors = Tensors::read(&path("generate/processors.safetensors"));
    let (logits, histories, mask) = (
        tensors.f32("logits"),
        tensors.i64("histories"),
        tensors.i64("mask"),
    );
    for case in json::<Processors>("generate/processors.json").cases {
        let processors = processors(&case.settings);
        let out = tensors.f32(&case.out);
        for (i, (row, expected)) in logits.rows().zip(out.rows()).enumerate() {
            let history = histories.rows().nth(i).expect("as many rows");
            let mask = mask.rows().nth(i).expect("as many rows");
            let said: Vec<u32> = history
                .iter()
                .zip(mask)
                .filter(|(_, mask)| **mask == 1)
                .map(|(&id, _)| id as u32)
                .collect();
            let (mut found, mut expected) = (row.to_vec(), expected.to_vec());
            processors.apply(&mut found, &said);
            // Which of two equal logits goes first is the sort's affair, how many go is not.
            if case.split_ties.contains(&i) {
                found.sort_by(f32::total_cmp);
                expected.sort_by(f32::total_cmp);
            }
            // One multiplication and one division per logit: nothing to round twice.
            assert_close(
                &format!("{} row {i}", case.settings),
                &found,
                &expected,
                1e-6,
            );
        }
    }
}

#[derive(Deserialize)]
struct Greedy {
    model: String,
    pad_token_id: u32,
    prompts: Vec<Vec<u32>>,
    runs: Vec<GreedyRun>,
}

#[derive(Deserialize)]
struct GreedyRun {
    settings: Value,
    new_ids: Vec<Vec<u32>>,
}

fn greedy() -> (Greedy, CausalLm) {
    let greedy: Greedy = json("generate/greedy.json");
    let model = CausalLm::load(&path(&greedy.model), &Device::flex()).expect("a model folder");
    (greedy, model)
}

fn config(do_sample: bool, max_new_tokens: usize) -> GenerationConfig {
    GenerationConfig {
        max_new_tokens,
        do_sample,
        logits: LogitsProcessors::default(),
        seed: 7,
    }
}

fn request<'a>(prompts: &'a [Vec<u32>], samples: usize, eos: &'a [u32]) -> Request<'a> {
    Request {
        prompts,
        first_prompt: 0,
        first_sample: 0,
        samples,
        eos,
        pad: 0,
    }
}

fn run(model: &CausalLm, request: Request<'_>, config: &GenerationConfig) -> Vec<Generated> {
    let mut heard = vec![Vec::new(); request.prompts.len() * request.samples];
    let done = generate(model, request, config, &mut |row, token| {
        heard[row].push(token)
    })
    .expect("generated");
    let written: Vec<Vec<u32>> = done.iter().map(|one| one.tokens.clone()).collect();
    assert_eq!(heard, written, "the stream is the answer");
    done
}

#[test]
fn greedy_tokens_are_transformers() {
    let (greedy, model) = greedy();
    for GreedyRun { settings, new_ids } in &greedy.runs {
        let eos: Vec<u32> =
            serde_json::from_value(settings.get("eos_token_id").cloned().unwrap_or_default())
                .unwrap_or_default();
        let config = GenerationConfig {
            logits: processors(settings),
            ..config(false, 20)
        };
        let request = Request {
            pad: greedy.pad_token_id,
            ..request(&greedy.prompts, 1, &eos)
        };
        for (found, ids) in run(&model, request, &config).into_iter().zip(new_ids) {
            let end = ids.iter().position(|id| eos.contains(id));
            assert_eq!(found.tokens, ids[..end.unwrap_or(ids.len())], "{settings}");
            let reason = if end.is_some() {
                FinishReason::Stop
            } else {
                FinishReason::Length
            };
            assert_eq!(found.finish_reason, reason, "{settings}");
        }
    }
}

#[test]
fn a_seed_gives_the_same_text_whatever_else_is_in_the_batch() {
    let (greedy, model) = greedy();
    let eos = [174, 198, 62];
    let config = GenerationConfig {
        logits: LogitsProcessors {
            temperature: 1.2,
            top_k: 50,
            top_p: 0.95,
            ..LogitsProcessors::default()
        },
        ..config(true, 16)
    };
    let together = run(&model, request(&greedy.prompts, 4, &eos), &config);
    let alone: Vec<Generated> = (0..greedy.prompts.len())
        .flat_map(|i| {
            let request = Request {
                first_prompt: i as u64,
                ..request(&greedy.prompts[i..=i], 4, &eos)
            };
            run(&model, request, &config)
        })
        .collect();
    assert_eq!(together, alone);
    // Fewer samples are the first of more.
    let fewer = run(&model, request(&greedy.prompts, 2, &eos), &config);
    for prompt in 0..greedy.prompts.len() {
        assert_eq!(
            fewer[2 * prompt..2 * prompt + 2],
            together[4 * prompt..4 * prompt + 2]
        );
    }
    assert!(
        together
            .iter()
            .any(|one| one.finish_reason == FinishReason::Stop),
        "rows that end leave the batch"
    );

    let texts: HashSet<_> = together.iter().map(|one| &one.tokens).collect();
    assert!(texts.len() > 8, "samples of one prompt differ");
    let other = run(
        &model,
        request(&greedy.prompts, 4, &eos),
        &GenerationConfig { seed: 8, ..config },
    );
    assert_ne!(together, other);
}

#[test]
fn samples_share_their_prompt_and_write_as_if_each_had_read_it() {
    let (greedy, model) = greedy();
    let repeated: Vec<Vec<u32>> = greedy
        .prompts
        .iter()
        .flat_map(|prompt| vec![prompt.clone(); 3])
        .collect();
    let shared = run(&model, request(&greedy.prompts, 3, &[]), &config(false, 12));
    assert_eq!(
        shared,
        run(&model, request(&repeated, 1, &[]), &config(false, 12))
    );
}

/// The first token's frequencies over many samples against the model's own probabilities.
#[test]
fn draws_follow_the_models_distribution() {
    let (greedy, model) = greedy();
    let samples = 4000;
    let logits = LogitsProcessors {
        top_k: 4,
        ..LogitsProcessors::default()
    };
    let drawn = run(
        &model,
        request(&greedy.prompts[2..], samples, &[]),
        &GenerationConfig {
            logits,
            ..config(true, 1)
        },
    );

    let ids = burn::tensor::Tensor::from_data(
        burn::tensor::TensorData::from([[159i64]]),
        &Device::flex(),
    );
    let hidden = model
        .forward(ids, None, None)
        .reshape([1, model.config().hidden_size()]);
    let mut expected = super::fixture::values(model.logits(hidden));
    logits.apply(&mut expected, &[]);
    let sum: f32 = expected.iter().map(|logit| logit.exp()).sum();
    for (token, logit) in expected.iter().enumerate() {
        let probability = logit.exp() / sum;
        let share = drawn
            .iter()
            .filter(|one| one.tokens == [token as u32])
            .count() as f32
            / samples as f32;
        let deviation = (probability * (1.0 - probability) / samples as f32).sqrt();
        assert!(
            (share - probability).abs() <= 4.0 * deviation,
            "token {token}: {share} drawn, {probability} expected"
        );
    }
}

#[test]
fn a_text_ends_where_the_model_does() {
    let (greedy, model) = greedy();
    let limit = model.config().max_position_embeddings();
    let prompt: Vec<u32> = (0..limit as u32 - 3).map(|i| 5 + i % 200).collect();
    let done = run(
        &model,
        request(std::slice::from_ref(&prompt), 1, &[]),
        &config(false, 20),
    );
    assert_eq!(done[0].finish_reason, FinishReason::Length);
    assert!(
        (3..=4).contains(&done[0].tokens.len()),
        "{}",
        done[0].tokens.len()
    );
    assert!(
        run(&model, request(&greedy.prompts, 1, &[]), &config(false, 0))
            .iter()
            .all(|one| one.tokens.is_empty())
    );
}

#[test]
fn prompts_that_cannot_be_read_are_refused() {
    let (_, model) = greedy();
    let too_long = vec![5; model.config().max_position_embeddings()];
    for prompt in [Vec::new(), too_long] {
        let error = generate(
            &model,
            request(&[prompt], 1, &[]),
            &config(false, 1),
            &mut |_, _| {},
        );
        assert!(matches!(error, Err(ModelError::Prompt { .. })));
    }
}
