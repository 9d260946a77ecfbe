//! Rotary position embeddings (Su et al., arXiv 2104.09864) in Hugging Face's half-split layout.

use std::f64::consts::PI;

use burn::tensor::{Device, Int, Tensor};
use serde::Deserialize;

/// Rotary settings of a layer: an entry of `rope_parameters` in `config.json`.
#[derive(Debug, Clone, PartialEq)]
pub struct RopeConfig {
    /// Base of the frequencies.
    pub theta: f64,
    /// Number of rotated dimensions of a head; the others are unchanged.
    pub dims: usize,
    /// Scaling for long contexts.
    pub scaling: RopeScaling,
}

/// Scaling of the frequencies for long contexts: transformers' `ROPE_INIT_FUNCTIONS`.
#[derive(Debug, Clone, PartialEq)]
pub enum RopeScaling {
    /// No scaling.
    Default,
    /// All frequencies are divided by a factor.
    Linear {
        /// The divisor.
        factor: f64,
    },
    /// Llama 3.1: low frequencies are divided by a factor, high ones are unchanged.
    Llama3(Llama3Scaling),
    /// YaRN (Peng et al., arXiv 2309.00071).
    Yarn(YarnScaling),
    /// LongRoPE (Ding et al., arXiv 2402.13753).
    LongRope(LongRopeScaling),
}

/// Settings of `llama3`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Llama3Scaling {
    /// Divisor of low frequencies.
    pub factor: f64,
    /// Wavelengths above `original_max_position_embeddings / low_freq_factor` are scaled fully.
    pub low_freq_factor: f64,
    /// Wavelengths below `original_max_position_embeddings / high_freq_factor` are unchanged.
    pub high_freq_factor: f64,
    /// The context length of pre-training.
    pub original_max_position_embeddings: f64,
}

/// Settings of `yarn`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct YarnScaling {
    /// Ratio of the context length to that of pre-training.
    pub factor: f64,
    /// Factor of cosines and sines; derived from `factor` if absent.
    pub attention_factor: Option<f64>,
    /// With `mscale_all_dim`, determines `attention_factor` instead.
    pub mscale: Option<f64>,
    /// See `mscale`.
    pub mscale_all_dim: Option<f64>,
    /// Rotations over the original context above which a frequency is unchanged.
    #[serde(default = "beta_fast")]
    pub beta_fast: f64,
    /// Rotations over the original context below which a frequency is scaled fully.
    #[serde(default = "beta_slow")]
    pub beta_slow: f64,
    /// The context length of pre-training.
    pub original_max_position_embeddings: f64,
    /// Whether the bounds of the ramp between the two are rounded to whole dimensions.
    #[serde(default = "truncate")]
    pub truncate: bool,
}

fn beta_fast() -> f64 {
    32.0
}

fn beta_slow() -> f64 {
    1.0
}

fn truncate() -> bool {
    true
}

/// Settings of `longrope`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct LongRopeScaling {
    /// Divisors of the frequencies in sequences up to the original context length.
    pub short_factor: Vec<f64>,
    /// Divisors in longer ones.
    pub long_factor: Vec<f64>,
    /// Factor of cosines and sines.
    pub attention_factor: f64,
    /// The context length of pre-training.
    pub original_max_position_embeddings: f64,
}

impl RopeConfig {
    /// The angle per position of each pair of dimensions, in a sequence of `length` positions.
    fn frequencies(&self, length: usize) -> Vec<f64> {
        let plain = (0..self.dims / 2).map(|i| self.theta.powf(-2.0 * i as f64 / self.dims as f64));
        match &self.scaling {
            RopeScaling::Default => plain.collect(),
            RopeScaling::Linear { factor } => plain.map(|frequency| frequency / factor).collect(),
            RopeScaling::Llama3(llama3) => {
                plain.map(|frequency| llama3.scaled(frequency)).collect()
            }
            RopeScaling::Yarn(yarn) => {
                let ramp = yarn.ramp(self.theta, self.dims);
                plain
                    .enumerate()
                    .map(|(i, frequency)| {
                        let scaled = ramp(i);
                        frequency * ((1.0 - scaled) + scaled / yarn.factor)
                    })
                    .collect()
            }
            RopeScaling::LongRope(long) => {
                let factors = match length as f64 > long.original_max_position_embeddings {
                    true => &long.long_factor,
                    false => &long.short_factor,
                };
                plain
                    .zip(factors)
                    .map(|(frequency, factor)| frequency / factor)
                    .collect()
            }
        }
    }

    /// Factor of cosines and sines.
    fn attention_factor(&self) -> f64 {
        match &self.scaling {
            RopeScaling::Yarn(yarn) => yarn.attention_factor(),
            RopeScaling::LongRope(long) => long.attention_factor,
            _ => 1.0,
        }
    }
}

impl Llama3Scaling {
    /// transformers' `_compute_llama3_parameters`.
    fn scaled(&self, frequency: f64) -> f64 {
        let wavelength = 2.0 * PI / frequency;
        let original = self.original_max_position_embeddings;
        if wavelength < original / self.high_freq_factor {
            return frequency;
        }
        if wavelength > original / self.low_freq_factor {
            return frequency / self.factor;
        }
        let smooth = (original / wavelength - self.low_freq_factor)
            / (self.high_freq_factor - self.low_freq_factor);
        (1.0 - smooth) * frequency / self.factor + smooth * frequency
    }
}

impl YarnScaling {
    fn attention_factor(&self) -> f64 {
        let scale = |by: f64| 0.1 * by * self.factor.max(1.0).ln() + 1.0;
        match (self.attention_factor, self.mscale, self.mscale_all_dim) {
            (Some(factor), _, _) => factor,
            (None, Some(one), Some(all)) if one != 0.0 && all != 0.0 => scale(one) / scale(all),
            _ => scale(1.0),
        }
    }

    /// How far the i-th frequency is scaled, 0 to 1: transformers' `_compute_yarn_parameters`.
    fn ramp(&self, theta: f64, dims: usize) -> impl Fn(usize) -> f64 {
        let dimension = |rotations: f64| {
            let positions = self.original_max_position_embeddings;
            dims as f64 * (positions / (rotations * 2.0 * PI)).ln() / (2.0 * theta.ln())
        };
        let (mut low, mut high) = (dimension(self.beta_fast), dimension(self.beta_slow));
        if self.truncate {
            (low, high) = (low.floor(), high.ceil());
        }
        let (low, mut high) = (low.max(0.0), high.min(dims as f64 - 1.0));
        if low == high {
            high += 0.001;
        }
        move |i| ((i as f64 - low) / (high - low)).clamp(0.0, 1.0)
    }
}

/// The angles' cosines and sines for consecutive positions, `[positions, dims]` each.
#[derive(Debug, Clone)]
pub(crate) struct Rotation {
    cos: Tensor<2>,
    sin: Tensor<2>,
}

impl Rotation {
    /// The rotation of positions `start..start + length`.
    pub(crate) fn new(start: usize, length: usize, config: &RopeConfig, device: &Device) -> Self {
        let end = start + length;
        let frequencies: Vec<f32> = config
            .frequencies(end)
            .into_iter()
            .map(|frequency| frequency as f32)
            .collect();
        // Both halves use the same frequencies.
        let frequencies = Tensor::<1>::from_floats(
            [frequencies.clone(), frequencies].concat().as_slice(),
            device,
        );
        let positions = Tensor::<1, Int>::arange(start as i64..end as i64, device).float();
        let angles = positions.unsqueeze_dim::<2>(1) * frequencies.unsqueeze_dim::<2>(0); // [positions, dims]
        let (cos, sin) = (angles.clone().cos(), angles.sin());
        match config.attention_factor() {
            1.0 => Self { cos, sin },
            factor => Self {
                cos: cos * factor,
                sin: sin * factor,
            },
        }
    }

    /// # Shapes
    /// `[batch, heads, positions, head_dim]` in and out
    pub(crate) fn apply(&self, x: Tensor<4>) -> Tensor<4> {
        let [_, _, _, head_dim] = x.dims();
        let [_, dims] = self.cos.dims();
        if dims < head_dim {
            let turned = self.turn(x.clone().narrow(3, 0, dims));
            return Tensor::cat(vec![turned, x.narrow(3, dims, head_dim - dims)], 3);
        }
        self.turn(x)
    }

    fn turn(&self, x: Tensor<4>) -> Tensor<4> {
        let [_, _, _, dims] = x.dims();
        let half = dims / 2;
        let rotated = Tensor::cat(
            vec![
                -x.clone().narrow(3, half, half),
                x.clone().narrow(3, 0, half),
            ],
            3,
        );
        x * self.cos.clone().unsqueeze::<4>() + rotated * self.sin.clone().unsqueeze::<4>()
    }
}
