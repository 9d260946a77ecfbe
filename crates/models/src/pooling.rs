//! sentence-transformers' `Pooling` module: from token vectors to one vector per text.

use std::path::Path;

use burn::tensor::{Bool, Int, Tensor};
use serde::Deserialize;
use serde_json::Value;

use crate::error::ModelError;
use crate::files;

/// A pooling mode.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PoolingMode {
    /// The first token's vector.
    Cls,
    /// The maximum of each dimension.
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
    /// - `counted`: `[batch, seq]`, true for tokens that are pooled
    /// - `places`: `[batch, seq]`, each token's index in its text, from 0
    /// - output: `[batch, hidden]`
    fn forward(
        self,
        tokens: Tensor<3>,
        counted: Tensor<2, Bool>,
        places: Tensor<2, Int>,
    ) -> Tensor<2> {
        let [batch, seq, hidden] = tokens.dims();
        let kept = counted.clone().reshape([batch, seq, 1]);
        match self {
            Self::Cls => pick(tokens, columns(&counted, seq as i64).min_dim(1)),
            Self::LastToken => pick(tokens, columns(&counted, -1).max_dim(1)),
            Self::Max => {
                let skipped = kept.bool_not().expand([batch, seq, hidden]);
                tokens
                    .mask_fill(skipped, f32::NEG_INFINITY)
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
                let places = places.float().reshape([batch, seq, 1]) + 1.0;
                let weight = kept.float() * places; // [batch, seq, 1]
                let divisor = weight.clone().sum_dim(1).clamp_min(1.0);
                ((tokens * weight).sum_dim(1) / divisor).squeeze_dim(1)
            }
        }
    }
}

/// The column indices where a mask is true, and `otherwise` elsewhere, `[batch, seq]`.
fn columns(mask: &Tensor<2, Bool>, otherwise: i64) -> Tensor<2, Int> {
    let [batch, seq] = mask.dims();
    let columns = Tensor::<1, Int>::arange(0..seq as i64, &mask.device());
    columns
        .unsqueeze::<2>()
        .expand([batch, seq])
        .mask_fill(mask.clone().bool_not(), otherwise)
}

/// One token of each text, by its column `[batch, 1]`.
fn pick(tokens: Tensor<3>, column: Tensor<2, Int>) -> Tensor<2> {
    let [batch, seq, hidden] = tokens.dims();
    // A text without pooled tokens has no such column.
    let column = column.clamp(0, seq as i64 - 1).reshape([batch, 1, 1]);
    tokens
        .gather(1, column.expand([batch, 1, hidden]))
        .squeeze_dim(1)
}

/// The pooling of a sentence embedder: one mode, or several whose vectors are concatenated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pooling {
    modes: Vec<PoolingMode>,
    /// Whether the tokens of the prompt are pooled.
    include_prompt: bool,
}

impl Default for Pooling {
    /// Mean pooling, sentence-transformers' default for a bare encoder.
    fn default() -> Self {
        Self::of(PoolingMode::Mean)
    }
}

impl Pooling {
    /// One mode, over all tokens.
    pub fn of(mode: PoolingMode) -> Self {
        Self {
            modes: vec![mode],
            include_prompt: true,
        }
    }

    /// Whether the tokens of a prompt before the text count.
    pub fn includes_prompt(&self) -> bool {
        self.include_prompt
    }

    /// Keys of older files, in the order in which the vectors are concatenated.
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
    /// If the file is missing, is not valid JSON, or asks for an unsupported mode.
    pub fn read(path: &Path) -> Result<Self, ModelError> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Names {
            One(String),
            Several(Vec<String>),
        }
        let bytes = files::read(path).map_err(|source| ModelError::Read {
            path: path.to_owned(),
            source,
        })?;
        let json = |source| ModelError::Json {
            path: path.to_owned(),
            source,
        };
        let config: Value = serde_json::from_slice(&bytes).map_err(json)?;
        let unsupported = |what| ModelError::Unsupported {
            path: path.to_owned(),
            what,
        };
        let set = |flag: &str| config.get(flag).and_then(Value::as_bool) == Some(true);
        let mut keys = config.as_object().into_iter().flat_map(|all| all.keys());
        let known = |key: &str| Self::FLAGS.iter().any(|(flag, _)| *flag == key);
        let stranger = |key: &&String| key.starts_with("pooling_mode_") && set(key) && !known(key);
        if let Some(flag) = keys.find(stranger) {
            return Err(unsupported(format!("`{flag}`")));
        }
        let names = match config.get("pooling_mode") {
            Some(names) => match serde_json::from_value(names.clone()).map_err(json)? {
                Names::One(name) => vec![name],
                Names::Several(names) => names,
            },
            None => Self::FLAGS
                .iter()
                .filter(|(flag, _)| set(flag))
                .map(|(_, name)| (*name).to_owned())
                .collect(),
        };
        let modes = names
            .iter()
            .map(|name| {
                PoolingMode::from_name(name)
                    .ok_or_else(|| unsupported(format!("the pooling mode `{name}`")))
            })
            .collect::<Result<Vec<_>, _>>()?;
        let include_prompt = config.get("include_prompt").and_then(Value::as_bool);
        Ok(Self {
            modes: match modes.is_empty() {
                true => vec![PoolingMode::Mean],
                false => modes,
            },
            include_prompt: include_prompt.unwrap_or(true),
        })
    }

    /// The number of dimensions of a pooled vector.
    pub fn dims(&self, hidden: usize) -> usize {
        self.modes.len() * hidden
    }

    /// `attention_mask` is true for tokens, `counted` for tokens that are pooled. Padding can be on
    /// either side.
    ///
    /// # Shapes
    /// - `tokens`: `[batch, seq, hidden]`
    /// - `attention_mask`, `counted`: `[batch, seq]`
    /// - output: `[batch, modes * hidden]`
    pub fn forward(
        &self,
        tokens: Tensor<3>,
        attention_mask: Tensor<2, Bool>,
        counted: Tensor<2, Bool>,
    ) -> Tensor<2> {
        let places = attention_mask.int().cumsum(1) - 1; // [batch, seq]
        let pooled = self
            .modes
            .iter()
            .map(|mode| mode.forward(tokens.clone(), counted.clone(), places.clone()));
        Tensor::cat(pooled.collect(), 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::Device;

    /// Two texts of three and two tokens, pooled; the padding holds values that must not matter.
    fn pooled(mode: PoolingMode, left: bool, prompt: usize) -> Vec<f32> {
        let device = Device::flex();
        let mut rows = [
            [[1.0, -4.0], [2.0, 0.0], [6.0, 1.0]],
            [[-3.0, 5.0], [-1.0, 1.0], [99.0, 99.0]],
        ];
        let mut mask = [[true; 3], [true, true, false]];
        let mut counted = mask;
        counted.iter_mut().for_each(|row| row[..prompt].fill(false));
        if left {
            rows[1].rotate_right(1);
            mask[1].rotate_right(1);
            counted[1].rotate_right(1);
        }
        let bools = |mask: [[bool; 3]; 2]| Tensor::from_data(mask, &device);
        Pooling::of(mode)
            .forward(
                Tensor::from_data(rows, &device),
                bools(mask),
                bools(counted),
            )
            .into_data()
            .try_to_vec()
            .unwrap()
    }

    #[test]
    fn each_mode_skips_padding_on_either_side() {
        let root = |n: f32| n.sqrt();
        for left in [false, true] {
            let assert_pooled = |mode, expected: [f32; 4]| {
                for (found, expected) in pooled(mode, left, 0).iter().zip(expected) {
                    assert!(
                        (found - expected).abs() < 1e-6,
                        "{mode:?}: {found} is not {expected}"
                    );
                }
            };
            assert_pooled(PoolingMode::Cls, [1.0, -4.0, -3.0, 5.0]);
            assert_pooled(PoolingMode::Max, [6.0, 1.0, -1.0, 5.0]);
            assert_pooled(PoolingMode::Mean, [3.0, -1.0, -2.0, 3.0]);
            assert_pooled(
                PoolingMode::MeanSqrtLen,
                [
                    9.0 / root(3.0),
                    -3.0 / root(3.0),
                    -4.0 / root(2.0),
                    6.0 / root(2.0),
                ],
            );
            assert_pooled(PoolingMode::LastToken, [6.0, 1.0, -1.0, 1.0]);
            assert_pooled(
                PoolingMode::WeightedMean,
                [23.0 / 6.0, -1.0 / 6.0, -5.0 / 3.0, 7.0 / 3.0],
            );
        }
    }

    #[test]
    fn a_prompt_may_be_left_out_and_keeps_its_places() {
        for left in [false, true] {
            assert_eq!(pooled(PoolingMode::Cls, left, 1), [2.0, 0.0, -1.0, 1.0]);
            assert_eq!(pooled(PoolingMode::Mean, left, 1), [4.0, 0.5, -1.0, 1.0]);
            assert_eq!(
                pooled(PoolingMode::LastToken, left, 1),
                [6.0, 1.0, -1.0, 1.0]
            );
            let weighted = pooled(PoolingMode::WeightedMean, left, 1);
            for (found, expected) in weighted.iter().zip([22.0 / 5.0, 0.6, -1.0, 1.0]) {
                assert!((found - expected).abs() < 1e-6, "{found} is not {expected}");
            }
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
        assert!(
            !read(r#"{"include_prompt": false}"#)
                .unwrap()
                .includes_prompt()
        );
        for (text, stranger) in [
            (r#"{"pooling_mode": "median"}"#, "`median`"),
            (
                r#"{"pooling_mode_best_token": true}"#,
                "`pooling_mode_best_token`",
            ),
        ] {
            let error = read(text).unwrap_err().to_string();
            assert!(
                error.contains(stranger) && error.contains("config.json"),
                "{error}"
            );
        }
    }
}
