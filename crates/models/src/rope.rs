//! Rotary position embeddings (Su et al., arXiv 2104.09864) in Hugging Face's half-split layout.

use burn::tensor::{Device, Int, Tensor};
use serde::{Deserialize, Serialize};

/// How long contexts stretch the rotation, from `rope_scaling` (or `rope_parameters`) of config.json.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Llama3Scaling {
    /// How much the slow frequencies are slowed further.
    pub factor: f64,
    /// Wavelengths above `original_max_position_embeddings / low_freq_factor` are scaled whole.
    pub low_freq_factor: f64,
    /// Wavelengths below `original_max_position_embeddings / high_freq_factor` are left alone.
    pub high_freq_factor: f64,
    /// The context length of pre-training.
    pub original_max_position_embeddings: usize,
}

/// The angles' cosines and sines for consecutive positions, `[positions, head_dim]` each.
#[derive(Debug, Clone)]
pub(crate) struct Rotation {
    cos: Tensor<2>,
    sin: Tensor<2>,
}

impl Rotation {
    /// The rotation of positions `start..start + length`.
    pub(crate) fn new(
        start: usize,
        length: usize,
        head_dim: usize,
        theta: f64,
        scaling: Option<&Llama3Scaling>,
        device: &Device,
    ) -> Self {
        let frequencies: Vec<f32> = (0..head_dim / 2)
            .map(|i| scaled(theta.powf(-2.0 * i as f64 / head_dim as f64), scaling) as f32)
            .collect();
        // The halves rotate together, so each frequency stands twice.
        let frequencies = Tensor::<1>::from_floats(
            [frequencies.clone(), frequencies].concat().as_slice(),
            device,
        );
        let positions =
            Tensor::<1, Int>::arange(start as i64..(start + length) as i64, device).float();
        let angles = positions.unsqueeze_dim::<2>(1) * frequencies.unsqueeze_dim::<2>(0); // [positions, head_dim]
        Self {
            cos: angles.clone().cos(),
            sin: angles.sin(),
        }
    }

    /// # Shapes
    /// `[batch, heads, positions, head_dim]` in and out
    pub(crate) fn apply(&self, x: Tensor<4>) -> Tensor<4> {
        let [_, _, _, head_dim] = x.dims();
        let half = head_dim / 2;
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

/// transformers' `_compute_llama3_parameters`.
fn scaled(frequency: f64, scaling: Option<&Llama3Scaling>) -> f64 {
    let Some(scaling) = scaling else {
        return frequency;
    };
    let wavelength = 2.0 * std::f64::consts::PI / frequency;
    let original = scaling.original_max_position_embeddings as f64;
    if wavelength < original / scaling.high_freq_factor {
        return frequency;
    }
    if wavelength > original / scaling.low_freq_factor {
        return frequency / scaling.factor;
    }
    let smooth = (original / wavelength - scaling.low_freq_factor)
        / (scaling.high_freq_factor - scaling.low_freq_factor);
    (1.0 - smooth) * frequency / scaling.factor + smooth * frequency
}
