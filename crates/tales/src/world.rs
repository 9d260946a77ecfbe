//! The world itself: its prompts, and the distribution of the tales about them.

use rand::{Rng, RngExt, seq::SliceRandom};
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use crate::config::{ConfigError, WorldConfig};
use crate::craft::{Craft, Wording};
use crate::grammar::Scene;
use crate::plot::{Beats, Plot};
use crate::prompt::{COMBINATIONS, Prompt, Split, scene, stream};
use crate::voice::{Draft, Voice};
use crate::words::{ADJECTIVES, FRIENDS, TIMES, pick};

/// A response with its ground truth.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tale {
    /// The tale.
    pub text: String,
    /// What happens.
    pub plot: Plot,
    /// Who tells it.
    pub voice: Voice,
    /// How well it is told: the number of features of [`Craft`], 0 to 4.
    pub quality: u8,
    /// Its features.
    pub craft: Craft,
    /// Its votes.
    pub votes: u32,
}

/// A small world of tales.
#[derive(Clone, Debug)]
pub struct World {
    config: WorldConfig,
    train: Vec<Prompt>,
    held_out: Vec<Prompt>,
}

impl World {
    /// The world of a configuration, the same on every machine.
    pub fn new(config: WorldConfig) -> Result<Self, ConfigError> {
        config.check()?;
        Ok(Self::build(config))
    }

    /// The default world of a seed.
    pub fn seeded(seed: u64) -> Self {
        Self::build(WorldConfig {
            seed,
            ..WorldConfig::default()
        })
    }

    fn build(config: WorldConfig) -> Self {
        let mut combinations: Vec<usize> = (0..COMBINATIONS).collect();
        combinations.shuffle(&mut stream(config.seed, SPLIT_STREAM));
        let mut prompts = combinations
            .into_iter()
            .map(|combination| Prompt::new(combination, config.seed));
        let held_out = prompts.by_ref().take(config.held_out).collect();
        let train = prompts.collect();
        Self {
            config,
            train,
            held_out,
        }
    }

    /// The configuration.
    pub fn config(&self) -> &WorldConfig {
        &self.config
    }

    /// The prompts of a split in random order, so that any prefix is a fair sample.
    pub fn prompts(&self, split: Split) -> &[Prompt] {
        match split {
            Split::Train => &self.train,
            Split::HeldOut => &self.held_out,
        }
    }

    /// A generator for this prompt alone, so that its responses do not depend on earlier prompts.
    pub fn rng(&self, prompt: &Prompt) -> ChaCha8Rng {
        stream(self.config.seed, prompt.combination as u64)
    }

    /// `n` tales in response to a prompt; they are independent, so they may share plot and voice.
    pub fn responses(&self, prompt: &Prompt, n: usize, rng: &mut impl Rng) -> Vec<Tale> {
        (0..n).map(|_| self.tell(prompt, rng)).collect()
    }

    /// Endless training text for a base model: random training prompts, one tale each.
    pub fn corpus(&self) -> impl Iterator<Item = (&Prompt, Tale)> {
        let mut rng = stream(self.config.seed, CORPUS_STREAM);
        std::iter::from_fn(move || {
            // `new` leaves at least one prompt for training, so the iterator never ends.
            let prompt = self
                .train
                .get(rng.random_range(0..self.train.len().max(1)))?;
            Some((prompt, self.tell(prompt, &mut rng)))
        })
    }

    /// The probability of each plot for a prompt, in the order of [`Plot::ALL`].
    ///
    /// The ranking is the same for all prompts, with one mild twist: half of the objects raise one plot by one rank.
    pub fn plot_probabilities(&self, prompt: &Prompt) -> [f64; Plot::ALL.len()] {
        zipf(self.config.plot_exponent, prompt.leanings().0)
    }

    /// The probability of each voice for a prompt, in the order of [`Voice::ALL`]; here the place decides the twist.
    pub fn voice_probabilities(&self, prompt: &Prompt) -> [f64; Voice::ALL.len()] {
        zipf(self.config.voice_exponent, prompt.leanings().1)
    }

    fn tell(&self, prompt: &Prompt, rng: &mut impl Rng) -> Tale {
        let plot = Plot::ALL[draw(&self.plot_probabilities(prompt), rng)];
        let voice = Voice::ALL[draw(&self.voice_probabilities(prompt), rng)];
        let quality = rng.random_range(0..=4);
        let craft = Craft::with_grade(quality, rng);
        let scene = Scene {
            adjective: pick(&ADJECTIVES, rng),
            time: pick(&TIMES, rng),
            friend: pick(&FRIENDS, rng),
            ..scene(prompt.combination)
        };
        let text = voice.tell(&draft(plot.beats(), craft, rng), &scene, rng);
        let votes = self.config.votes.draw(f64::from(quality) / 4.0, rng);
        Tale {
            text,
            plot,
            voice,
            quality,
            craft,
            votes,
        }
    }
}

const SPLIT_STREAM: u64 = u64::MAX;
const CORPUS_STREAM: u64 = u64::MAX - 1;

fn draft(beats: &Beats, craft: Craft, rng: &mut impl Rng) -> Draft {
    let wording = Wording::draw(craft, rng);
    Draft {
        opening: pick(&beats.opening, rng),
        detail: wording.detail,
        link: wording.link,
        event: pick(&beats.event, rng),
        pivot: wording.pivot,
        turn: pick(&beats.turn, rng),
        ending: pick(
            if craft.echo {
                &beats.echo
            } else {
                &beats.close
            },
            rng,
        ),
    }
}

/// Zipf's law over N ranks, with two neighbours swapped for every other `leaning`.
fn zipf<const N: usize>(exponent: f64, leaning: usize) -> [f64; N] {
    let mut law: [f64; N] = std::array::from_fn(|rank| ((rank + 1) as f64).powf(-exponent));
    let total: f64 = law.iter().sum();
    law.iter_mut().for_each(|p| *p /= total);
    if leaning % 2 == 1 {
        let rank = leaning / 2 % (N - 1);
        law.swap(rank, rank + 1);
    }
    law
}

fn draw<const N: usize>(law: &[f64; N], rng: &mut impl Rng) -> usize {
    let mut left = rng.random::<f64>();
    law.iter()
        .position(|p| {
            left -= p;
            left < 0.0
        })
        // Rounding may leave a remainder beyond the last rank.
        .unwrap_or(N - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zipf_is_a_law_with_a_mild_twist() {
        let law: [f64; 8] = zipf(1.4, 0);
        assert!((law.iter().sum::<f64>() - 1.0).abs() < 1e-12);
        assert!(law.is_sorted_by(|a, b| a > b));
        assert!((law[0] / law[1] - 2f64.powf(1.4)).abs() < 1e-12);
        let twisted: [f64; 8] = zipf(1.4, 3);
        assert_eq!((twisted[1], twisted[2]), (law[2], law[1]));
        assert_eq!(zipf::<6>(0.0, 5), [1.0 / 6.0; 6]);
    }

    #[test]
    fn drawing_follows_the_law() {
        let mut rng = stream(3, 0);
        let law = zipf::<6>(1.4, 0);
        let mut counts = [0usize; 6];
        (0..20_000).for_each(|_| counts[draw(&law, &mut rng)] += 1);
        for (count, p) in counts.iter().zip(law) {
            assert!((*count as f64 / 20_000.0 - p).abs() < 0.015, "{counts:?}");
        }
    }
}
