//! The built-in embedders see the world's truth: plots in what is said, voices in how it is said.

use rarebit_deviation::{DistanceMatrix, deviations, embed, normalise};
use rarebit_tales::{Plot, Prompt, Split, Tale, Voice, World, WorldConfig};

/// Mean distances between tales of one prompt: of pairs that agree, then of pairs that differ, in `mode`; both only
/// over pairs that agree in `held`, so that the other half of the truth plays no part.
fn distances<M: PartialEq, H: PartialEq>(
    embedder: &str,
    mode: impl Fn(&Tale) -> M,
    held: impl Fn(&Tale) -> H,
) -> (f64, f64) {
    let config = WorldConfig {
        plot_exponent: 0.0,
        voice_exponent: 0.0,
        ..Default::default()
    };
    let world = World::new(config).expect("an even law is a law");
    let embedder = embed::builtin(embedder).expect("a built-in embedder");
    let (mut same, mut different) = (Vec::new(), Vec::new());
    for prompt in &world.prompts(Split::Train)[..12] {
        let tales = world.responses(prompt, 96, &mut world.rng(prompt));
        let texts: Vec<&str> = tales.iter().map(|tale| tale.text.as_str()).collect();
        let rows = embedder.embed(&texts).expect("embeddings");
        let matrix = DistanceMatrix::from_embeddings(&rows).expect("finite rows");
        for (i, a) in tales.iter().enumerate() {
            for (j, b) in tales[..i]
                .iter()
                .enumerate()
                .filter(|(_, b)| held(a) == held(b))
            {
                let pairs = if mode(a) == mode(b) {
                    &mut same
                } else {
                    &mut different
                };
                pairs.push(f64::from(matrix.row(i)[j]));
            }
        }
    }
    let mean = |pairs: &[f64]| pairs.iter().sum::<f64>() / pairs.len() as f64;
    (mean(&same), mean(&different))
}

#[test]
fn other_plots_are_lexically_farther() {
    let (same, different) = distances("builtin:lexical", |tale| tale.plot, |tale| tale.voice);
    assert!(
        different > 1.2 * same,
        "same plot {same:.3}, other plot {different:.3}"
    );
}

#[test]
fn other_voices_are_stylistically_farther() {
    let (same, different) = distances("builtin:style", |tale| tale.voice, |tale| tale.plot);
    assert!(
        different > 1.5 * same,
        "same voice {same:.3}, other voice {different:.3}"
    );
}

#[test]
fn craft_is_not_what_the_embedders_see() {
    for embedder in ["builtin:lexical", "builtin:style"] {
        let (same, different) =
            distances(embedder, |tale| tale.craft, |tale| (tale.plot, tale.voice));
        assert!(
            different < 1.3 * same,
            "{embedder}: same craft {same:.3}, other craft {different:.3}"
        );
    }
}

/// What a weight by deviation would reward: normalised deviation against rarity (of plots for the lexical embedder,
/// of voices for the style one) and against quality, as correlations over a skewed world.
fn rewards(embedder: &str, rarity: impl Fn(&World, &Prompt, &Tale) -> f64) -> (f64, f64) {
    let world = World::seeded(0);
    let embedder = embed::builtin(embedder).expect("a built-in embedder");
    let (mut deviating, mut rare, mut good) = (Vec::new(), Vec::new(), Vec::new());
    for prompt in &world.prompts(Split::Train)[..100] {
        let tales = world.responses(prompt, 12, &mut world.rng(prompt));
        let texts: Vec<&str> = tales.iter().map(|tale| tale.text.as_str()).collect();
        let rows = embedder.embed(&texts).expect("embeddings");
        let matrix = DistanceMatrix::from_embeddings(&rows).expect("finite rows");
        let raw: Vec<f64> = deviations(&matrix).into_iter().flatten().collect();
        deviating.extend(normalise(&raw));
        rare.extend(tales.iter().map(|tale| rarity(&world, prompt, tale)));
        good.extend(tales.iter().map(|tale| f64::from(tale.quality)));
    }
    (
        correlation(&deviating, &rare),
        correlation(&deviating, &good),
    )
}

fn correlation(a: &[f64], b: &[f64]) -> f64 {
    let mean = |x: &[f64]| x.iter().sum::<f64>() / x.len() as f64;
    let (mean_a, mean_b) = (mean(a), mean(b));
    let product = |x: &[f64], y: &[f64], mx: f64, my: f64| -> f64 {
        x.iter().zip(y).map(|(x, y)| (x - mx) * (y - my)).sum()
    };
    product(a, b, mean_a, mean_b)
        / (product(a, a, mean_a, mean_a) * product(b, b, mean_b, mean_b)).sqrt()
}

#[test]
fn deviation_follows_rarity_and_hardly_quality() {
    let plots = rewards("builtin:lexical", |world, prompt, tale| {
        let rank = Plot::ALL
            .iter()
            .position(|plot| *plot == tale.plot)
            .unwrap();
        -world.plot_probabilities(prompt)[rank].ln()
    });
    let voices = rewards("builtin:style", |world, prompt, tale| {
        let rank = Voice::ALL
            .iter()
            .position(|voice| *voice == tale.voice)
            .unwrap();
        -world.voice_probabilities(prompt)[rank].ln()
    });
    for (rarity, quality) in [plots, voices] {
        assert!(
            rarity > 0.4 && quality.abs() < 0.2,
            "rarity {rarity:.2}, quality {quality:.2}"
        );
    }
}
