//! From token vectors to one vector per text, as sentence-transformers' `Pooling` module does it.

use std::path::Path;

use burn::tensor::{Bool, Int, Tensor};
use serde::Deserialize;
use serde_json::Value;

use crate::error::ModelError;

/// One way of summing up a text's tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PoolingMode {
    /// The first token's vector.
    Cls,
    /// The largest value of each component.
    Max,
    /// The mean over the tokens.
    Mean,
    /// The sum over the tokens divided by the square root of their number.
    MeanSqrtLen,
    /// The mean weighted by position: 1 for the first token, 2 for the second.
    WeightedMean,
    /// The last token's vector.
    LastToken,
}

impl PoolingMode {
    fn from_name(name: &str) -> Option<Self> {
        Some(match name {
            "cls" => Self::Cls,
            "max" => Self::Max,
            "mean" => Self::Mean,
            "mean_sqrt_len_tokens" => Self::MeanSqrtLen,
            "weightedmean" => Self::WeightedMean,
            "lasttoken" => Self::LastToken,
            _ => return None,
        })
    }

    /// # Shapes
    /// - `tokens`: `[batch, seq, hidden]`
    /// - `mask`: `[batch, seq]`, true where there is a token
    /// - output: `[batch, hidden]`
    fn forward(self, tokens: Tensor<3>, mask: Tensor<2, Bool>) -> Tensor<2> {
        let [batch, seq, hidden] = tokens.dims();
        let kept = mask.reshape([batch, seq, 1]);
        match self {
            Self::Cls => tokens.narrow(1, 0, 1).squeeze_dim(1),
            Self::Max => {
                let padding = kept.bool_not().expand([batch, seq, hidden]);
                tokens
                    .mask_fill(padding, f32::NEG_INFINITY)
                    .max_dim(1)
                    .squeeze_dim(1)
            }
            Self::Mean | Self::MeanSqrtLen => {
                let kept = kept.float(); // [batch, seq, 1]
                let count = kept.clone().sum_dim(1).clamp_min(1.0);
                let divisor = if self == Self::Mean {
                    count
                } else {
                    count.sqrt()
                };
                ((tokens * kept).sum_dim(1) / divisor).squeeze_dim(1)
            }
            Self::WeightedMean => {
                let places = Tensor::<1, Int>::arange(1..seq as i64 + 1, &tokens.device()).float();
                let weight = kept.float() * places.reshape([1, seq, 1]); // [batch, seq, 1]
                let divisor = weight.clone().sum_dim(1).clamp_min(1.0);
                ((tokens * weight).sum_dim(1) / divisor).squeeze_dim(1)
            }
            Self::LastToken => {
                let last = kept.int().sum_dim(1).sub_scalar(1).clamp_min(0); // [batch, 1, 1]
                tokens
                    .gather(1, last.expand([batch, 1, hidden]))
                    .squeeze_dim(1)
            }
        }
    }
}

/// The pooling of a sentence embedder: one mode, or several whose vectors are joined.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pooling {
    modes: Vec<PoolingMode>,
}

impl Default for Pooling {
    /// The mean, which is also what sentence-transformers takes for a bare encoder.
    fn default() -> Self {
        Self {
            modes: vec![PoolingMode::Mean],
        }
    }
}

impl Pooling {
    /// Keys of older files, in the order in which their vectors are joined.
    const FLAGS: [(&str, &str); 6] = [
        ("pooling_mode_cls_token", "cls"),
        ("pooling_mode_max_tokens", "max"),
        ("pooling_mode_mean_tokens", "mean"),
        ("pooling_mode_mean_sqrt_len_tokens", "mean_sqrt_len_tokens"),
        ("pooling_mode_weightedmean_tokens", "weightedmean"),
        ("pooling_mode_lasttoken", "lasttoken"),
    ];

    /// Reads the module's `config.json`: either `pooling_mode` with a name or a list of names, or
    /// one flag per mode.
    ///
    /// # Errors
    /// When the file is missing, is no JSON, or asks for a mode that is not known here.
    pub fn read(path: &Path) -> Result<Self, ModelError> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Names {
            One(String),
            Several(Vec<String>),
        }
        let bytes = std::fs::read(path).map_err(|source| ModelError::Read {
            path: path.to_owned(),
            source,
        })?;
        let json = |source| ModelError::Json {
            path: path.to_owned(),
            source,
        };
        let config: Value = serde_json::from_slice(&bytes).map_err(json)?;
        let names = match config.get("pooling_mode") {
            Some(names) => match serde_json::from_value(names.clone()).map_err(json)? {
                Names::One(name) => vec![name],
                Names::Several(names) => names,
            },
            None => Self::FLAGS
                .iter()
                .filter(|(flag, _)| config.get(flag).and_then(Value::as_bool) == Some(true))
                .map(|(_, name)| (*name).to_owned())
                .collect(),
        };
        let modes = names
            .iter()
            .map(|name| {
                PoolingMode::from_name(name).ok_or_else(|| ModelError::Unsupported {
                    path: path.to_owned(),
                    what: format!("the pooling mode `{name}`"),
                })
            })
            .collect::<Result<Vec<_>, _>>()?;
        Ok(if modes.is_empty() {
            Self::default()
        } else {
            Self { modes }
        })
    }

    /// The number of components of a pooled vector.
    pub fn dims(&self, hidden: usize) -> usize {
        self.modes.len() * hidden
    }

    /// # Shapes
    /// - `tokens`: `[batch, seq, hidden]`
    /// - `mask`: `[batch, seq]`, true where there is a token
    /// - output: `[batch, modes * hidden]`
    pub fn forward(&self, tokens: Tensor<3>, mask: Tensor<2, Bool>) -> Tensor<2> {
        let pooled = self
            .modes
            .iter()
            .map(|mode| mode.forward(tokens.clone(), mask.clone()));
        Tensor::cat(pooled.collect(), 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::Device;

    /// Two texts of three and two tokens; the padding holds numbers that must not be seen.
    fn pooled(mode: PoolingMode) -> Vec<f32> {
        let device = Device::flex();
        let tokens = Tensor::<3>::from_data(
            [
                [[1.0, -4.0], [2.0, 0.0], [6.0, 1.0]],
                [[-3.0, 5.0], [-1.0, 1.0], [99.0, 99.0]],
            ],
            &device,
        );
        let mask = Tensor::<2, Bool>::from_data([[true, true, true], [true, true, false]], &device);
        Pooling { modes: vec![mode] }
            .forward(tokens, mask)
            .into_data()
            .try_to_vec()
            .unwrap()
    }

    #[test]
    fn each_mode_skips_padding() {
        assert_eq!(pooled(PoolingMode::Cls), [1.0, -4.0, -3.0, 5.0]);
        assert_eq!(pooled(PoolingMode::Max), [6.0, 1.0, -1.0, 5.0]);
        assert_eq!(pooled(PoolingMode::Mean), [3.0, -1.0, -2.0, 3.0]);
        let root = |n: f32| n.sqrt();
        let expected = [
            9.0 / root(3.0),
            -3.0 / root(3.0),
            -4.0 / root(2.0),
            6.0 / root(2.0),
        ];
        for (found, expected) in pooled(PoolingMode::MeanSqrtLen).iter().zip(expected) {
            assert!((found - expected).abs() < 1e-6, "{found} is not {expected}");
        }
        assert_eq!(pooled(PoolingMode::LastToken), [6.0, 1.0, -1.0, 1.0]);
        let expected = [23.0 / 6.0, -1.0 / 6.0, -5.0 / 3.0, 7.0 / 3.0];
        for (found, expected) in pooled(PoolingMode::WeightedMean).iter().zip(expected) {
            assert!((found - expected).abs() < 1e-6, "{found} is not {expected}");
        }
    }

    #[test]
    fn both_spellings_of_a_config_are_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("config.json");
        let read = |text: &str| {
            std::fs::write(&path, text).unwrap();
            Pooling::read(&path)
        };
        let modes = |text: &str| read(text).unwrap().modes;
        assert_eq!(modes(r#"{"pooling_mode": "cls"}"#), [PoolingMode::Cls]);
        assert_eq!(
            modes(r#"{"pooling_mode": ["mean", "max"]}"#),
            [PoolingMode::Mean, PoolingMode::Max]
        );
        assert_eq!(
            modes(r#"{"pooling_mode_mean_tokens": true, "pooling_mode_max_tokens": true}"#),
            [PoolingMode::Max, PoolingMode::Mean]
        );
        assert_eq!(
            modes(r#"{"word_embedding_dimension": 8}"#),
            [PoolingMode::Mean]
        );
        let error = read(r#"{"pooling_mode": "median"}"#)
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("`median`") && error.contains("config.json"),
            "{error}"
        );
    }
}
