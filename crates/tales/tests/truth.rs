//! What the world promises: known truth that can be read back, and laws that hold.

use std::collections::{BTreeSet, HashSet};

use rarebit_tales::{Plot, Prompt, Split, Tale, Voice, World, WorldConfig, read};

fn tales(world: &World, prompts: usize, each: usize) -> Vec<(&Prompt, Tale)> {
    world.prompts(Split::Train)[..prompts]
        .iter()
        .flat_map(|prompt| {
            let tales = world.responses(prompt, each, &mut world.rng(prompt));
            tales.into_iter().map(move |tale| (prompt, tale))
        })
        .collect()
}

/// A world in which every mode is as frequent as any other, so that no corner goes unread.
fn even_world() -> World {
    let config = WorldConfig {
        plot_exponent: 0.0,
        voice_exponent: 0.0,
        ..Default::default()
    };
    World::new(config).expect("an even law is a law")
}

fn words(text: &str) -> Vec<String> {
    text.split(|c: char| !c.is_alphanumeric())
        .filter(|w| !w.is_empty())
        .map(str::to_lowercase)
        .collect()
}

#[test]
fn the_oracle_reads_every_tale_back() {
    for world in [World::seeded(11), even_world()] {
        for (prompt, tale) in tales(&world, 1000, 8) {
            let reading = read(&prompt.text, &tale.text);
            assert_eq!(reading.plot, Some(tale.plot), "{}", tale.text);
            assert_eq!(reading.voice, Some(tale.voice), "{}", tale.text);
            assert_eq!(reading.craft, tale.craft, "{}", tale.text);
            assert_eq!(
                reading.quality,
                f32::from(tale.quality) / 4.0,
                "{}",
                tale.text
            );
            assert!(reading.on_topic && reading.complete, "{}", tale.text);
            assert!(!read("Write a tale of a nobody.", &tale.text).craft.echo || tale.craft.echo);
        }
    }
}

#[test]
fn tales_are_short_ascii_and_from_a_small_vocabulary() {
    let world = even_world();
    let mut vocabulary = BTreeSet::new();
    let mut lengths = Vec::new();
    for (prompt, tale) in tales(&world, 1500, 8) {
        assert!(tale.text.is_ascii());
        let found = words(&tale.text);
        lengths.push(found.len());
        vocabulary.extend(found);
        vocabulary.extend(words(&prompt.text));
    }
    lengths.sort_unstable();
    let (shortest, longest) = (lengths[0], lengths[lengths.len() - 1]);
    assert!(
        shortest >= 35 && longest <= 72,
        "{shortest} to {longest} words"
    );
    let (low, high) = (lengths[lengths.len() / 10], lengths[lengths.len() * 9 / 10]);
    assert!(
        low >= 40 && high <= 60,
        "the middle four fifths have {low} to {high} words"
    );
    assert!(vocabulary.len() <= 900, "{} words", vocabulary.len());
}

#[test]
fn plot_and_voice_are_skewed_and_independent_and_quality_is_of_neither() {
    let world = World::seeded(5);
    let tales = tales(&world, 4000, 5);
    let total = tales.len() as f64;
    let plot = |tale: &Tale| {
        Plot::ALL
            .iter()
            .position(|plot| *plot == tale.plot)
            .unwrap()
    };
    let voice = |tale: &Tale| {
        Voice::ALL
            .iter()
            .position(|voice| *voice == tale.voice)
            .unwrap()
    };
    let quality = |tale: &Tale| usize::from(tale.quality);

    let plots = counts(&tales, plot, 8);
    let voices = counts(&tales, voice, 6);
    assert!(plots.is_sorted_by(|a, b| a > b), "{plots:?}");
    assert!(voices.is_sorted_by(|a, b| a > b), "{voices:?}");
    assert!((0.4..0.6).contains(&(plots[0] / total)), "{plots:?}");
    for share in counts(&tales, quality, 5) {
        assert!((share / total - 0.2).abs() < 0.015);
    }
    assert!(association(&tales, plot, 8, voice, 6) < 0.03);
    assert!(association(&tales, plot, 8, quality, 5) < 0.03);
    assert!(association(&tales, voice, 6, quality, 5) < 0.03);
}

fn counts(tales: &[(&Prompt, Tale)], of: impl Fn(&Tale) -> usize, n: usize) -> Vec<f64> {
    let mut counts = vec![0.0; n];
    tales.iter().for_each(|(_, tale)| counts[of(tale)] += 1.0);
    counts
}

/// Cramér's V, less its expectation under independence.
fn association(
    tales: &[(&Prompt, Tale)],
    rows: impl Fn(&Tale) -> usize,
    n: usize,
    columns: impl Fn(&Tale) -> usize,
    m: usize,
) -> f64 {
    let total = tales.len() as f64;
    let joint = counts(tales, |tale| rows(tale) * m + columns(tale), n * m);
    let (by_row, by_column) = (counts(tales, rows, n), counts(tales, columns, m));
    let chi_squared: f64 = joint
        .iter()
        .enumerate()
        .map(|(cell, count)| {
            let expected = by_row[cell / m] * by_column[cell % m] / total;
            (count - expected).powi(2) / expected
        })
        .sum();
    let excess = (chi_squared - ((n - 1) * (m - 1)) as f64).max(0.0);
    (excess / total / (n.min(m) - 1) as f64).sqrt()
}

#[test]
fn votes_are_heavy_tailed_and_lean_on_quality() {
    let world = World::seeded(2);
    let tales: Vec<Tale> = tales(&world, 1000, 10)
        .into_iter()
        .map(|(_, tale)| tale)
        .collect();
    let mut votes: Vec<u32> = tales.iter().map(|tale| tale.votes).collect();
    votes.sort_unstable();
    let total: u64 = votes.iter().map(|v| u64::from(*v)).sum();
    let top: u64 = votes[votes.len() * 9 / 10..]
        .iter()
        .map(|v| u64::from(*v))
        .sum();
    assert!(votes[0] >= 1);
    assert!(
        top as f64 > 0.4 * total as f64,
        "the top tenth has {top} of {total} votes"
    );
    assert!(
        u64::from(votes[votes.len() / 2]) * 2 < total / votes.len() as u64 + 1,
        "the mean is twice the median"
    );

    let (mut right, mut wrong, mut even) = (0, 0, 0);
    for group in tales.chunks(10) {
        for (i, a) in group.iter().enumerate() {
            for b in &group[..i] {
                let (more, less) = if a.votes > b.votes { (a, b) } else { (b, a) };
                if more.votes - less.votes >= 5 {
                    match more.quality.cmp(&less.quality) {
                        std::cmp::Ordering::Greater => right += 1,
                        std::cmp::Ordering::Less => wrong += 1,
                        std::cmp::Ordering::Equal => even += 1,
                    }
                }
            }
        }
    }
    let share = f64::from(right) / f64::from(right + wrong);
    assert!(
        (0.85..0.97).contains(&share),
        "{right} right, {wrong} wrong, {even} even"
    );
}

#[test]
fn a_seed_is_a_world() {
    let (one, same, other) = (World::seeded(1), World::seeded(1), World::seeded(2));
    assert_eq!(one.prompts(Split::Train), same.prompts(Split::Train));
    assert_ne!(one.prompts(Split::HeldOut), other.prompts(Split::HeldOut));
    let prompt = &one.prompts(Split::HeldOut)[3];
    let responses = |world: &World| world.responses(prompt, 6, &mut world.rng(prompt));
    assert_eq!(responses(&one), responses(&same));
    assert_ne!(responses(&one), responses(&other));
    let corpus = |world: &World| {
        world
            .corpus()
            .take(20)
            .map(|(_, tale)| tale)
            .collect::<Vec<_>>()
    };
    assert_eq!(corpus(&one), corpus(&same));
    assert_ne!(corpus(&one), corpus(&other));
}

#[test]
fn held_out_prompts_are_new_combinations_of_known_words() {
    let world = World::seeded(9);
    let (train, held_out) = (world.prompts(Split::Train), world.prompts(Split::HeldOut));
    assert_eq!((train.len(), held_out.len()), (9216 - 512, 512));
    let ids: HashSet<&str> = train.iter().map(|prompt| prompt.id.as_str()).collect();
    let texts: HashSet<&str> = train.iter().map(|prompt| prompt.text.as_str()).collect();
    let known: HashSet<String> = train
        .iter()
        .take(3000)
        .flat_map(|prompt| words(&prompt.text))
        .collect();
    for prompt in held_out {
        assert!(!ids.contains(prompt.id.as_str()) && !texts.contains(prompt.text.as_str()));
        assert!(words(&prompt.text).iter().all(|word| known.contains(word)));
    }
    for (prompt, _) in world.corpus().take(500) {
        assert!(ids.contains(prompt.id.as_str()));
    }
}

#[test]
fn tales_of_one_mode_differ() {
    let world = World::seeded(4);
    let prompt = &world.prompts(Split::Train)[0];
    let texts: HashSet<String> = world
        .responses(prompt, 400, &mut world.rng(prompt))
        .into_iter()
        .filter(|tale| tale.plot == Plot::Quest && tale.voice == Voice::Plain)
        .map(|tale| tale.text)
        .collect();
    assert!(texts.len() > 50, "{}", texts.len());
}

#[test]
fn a_tale_cut_at_any_character_is_read_without_panic_and_is_no_better() {
    let world = even_world();
    for (prompt, tale) in tales(&world, 20, 3) {
        let whole = read(&prompt.text, &tale.text).quality;
        for end in 0..tale.text.len() {
            let cut = read(&prompt.text, &tale.text[..end]);
            assert!((0.0..=1.0).contains(&cut.quality));
            assert!(
                end > 40 || cut.quality <= whole.max(0.2),
                "{}",
                &tale.text[..end]
            );
        }
    }
}

#[test]
fn a_text_of_two_plots_is_rarely_read_as_one() {
    let world = even_world();
    let tales = tales(&world, 400, 2);
    let (mut mixed, mut read_as_one) = (0, 0);
    for pair in tales.chunks(2) {
        let [(prompt, a), (_, b)] = pair else {
            continue;
        };
        if a.plot != b.plot {
            mixed += 1;
            let text = format!("{} {}", a.text, b.text);
            read_as_one += usize::from(read(&prompt.text, &text).plot.is_some());
        }
    }
    assert!(read_as_one * 4 < mixed, "{read_as_one} of {mixed}");
}

#[test]
fn configurations_and_truth_travel_as_json() {
    let config: WorldConfig =
        serde_json::from_str(r#"{"seed": 3, "votes": {"location": 1, "slope": 2, "spread": 0.5}}"#)
            .expect("a part of a configuration");
    assert_eq!(
        (config.seed, config.held_out, config.votes.slope),
        (3, 512, 2.0)
    );
    assert!(serde_json::from_str::<WorldConfig>(r#"{"sed": 3}"#).is_err());
    let world = World::seeded(3);
    let prompt = &world.prompts(Split::HeldOut)[0];
    for tale in world.responses(prompt, 5, &mut world.rng(prompt)) {
        let json = serde_json::to_string(&tale).expect("JSON");
        assert_eq!(serde_json::from_str::<Tale>(&json).expect("a tale"), tale);
        assert!(
            json.contains(&format!("\"plot\":\"{}\"", tale.plot.as_str())),
            "{json}"
        );
        assert!(
            json.contains(&format!("\"voice\":\"{}\"", tale.voice.as_str())),
            "{json}"
        );
    }
}

/// What a small model writes is not what it was taught: words go missing and sentences change places.
#[test]
fn damaged_tales_are_still_read() {
    let world = even_world();
    let (mut all, mut right, mut wrong) = (0, 0, 0);
    for (number, (prompt, tale)) in tales(&world, 500, 8).into_iter().enumerate() {
        let kept = tale
            .text
            .split(' ')
            .enumerate()
            .filter(|(place, _)| (place + number) % 8 != 0);
        let text = kept.map(|(_, word)| word).collect::<Vec<_>>().join(" ");
        let reading = read(&prompt.text, &text);
        all += 2;
        right += usize::from(reading.plot == Some(tale.plot))
            + usize::from(reading.voice == Some(tale.voice));
        wrong += usize::from(reading.plot.is_some_and(|plot| plot != tale.plot));
        wrong += usize::from(reading.voice.is_some_and(|voice| voice != tale.voice));
    }
    assert!(right * 100 >= all * 90, "{right} of {all} right");
    assert!(wrong * 100 <= all, "{wrong} of {all} wrong");
}
