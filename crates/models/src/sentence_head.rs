//! The modules after the pooling in a sentence-transformers folder: Dense and Normalize.

use std::path::{Path, PathBuf};

use burn::tensor::{Device, Tensor, activation};
use serde::Deserialize;

use crate::checkpoint::Checkpoint;
use crate::config_file::{self, CONFIG};
use crate::error::ModelError;
use crate::linear::Linear;
use crate::safetensors_file::TensorFile;

/// The only vector that these modules can read and write.
const SENTENCE_EMBEDDING: &str = "sentence_embedding";

/// A module of `modules.json`.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum HeadModule {
    /// With its folder.
    Dense(PathBuf),
    Normalize,
}

/// The modules after the pooling, in order.
#[derive(Debug)]
pub(crate) struct Head {
    modules: Vec<Loaded>,
    /// Dimension of the output.
    pub(crate) dims: usize,
    /// The files that the modules were loaded from.
    pub(crate) files: Vec<PathBuf>,
}

#[derive(Debug)]
enum Loaded {
    Dense(Box<Dense>),
    Normalize,
}

impl Head {
    /// Loads the modules after a pooling with `dims` dimensions.
    pub(crate) fn load(
        modules: &[HeadModule],
        mut dims: usize,
        device: &Device,
    ) -> Result<Self, ModelError> {
        let (mut loaded, mut files) = (Vec::with_capacity(modules.len()), Vec::new());
        for module in modules {
            loaded.push(match module {
                HeadModule::Normalize => Loaded::Normalize,
                HeadModule::Dense(folder) => {
                    let file = TensorFile::open(folder)?;
                    let dense = Dense::load(folder, &file, dims, device)?;
                    [dims, _] = dense.linear.shape();
                    files.push(folder.join(CONFIG));
                    files.extend(file.files().map(Path::to_owned));
                    Loaded::Dense(Box::new(dense))
                }
            });
        }
        Ok(Self {
            modules: loaded,
            dims,
            files,
        })
    }

    /// # Shapes
    /// `[batch, pooled]` to `[batch, dims]`
    pub(crate) fn forward(&self, pooled: Tensor<2>) -> Tensor<2> {
        self.modules.iter().fold(pooled, |x, module| match module {
            Loaded::Dense(dense) => dense.forward(x),
            Loaded::Normalize => {
                let length = x.clone().square().sum_dim(1).sqrt();
                x / length.clamp_min(1e-12)
            }
        })
    }
}

/// sentence-transformers' `Dense`: `act(x W + b)`, optionally with a residual connection.
#[derive(Debug)]
struct Dense {
    linear: Linear,
    act: DenseActivation,
    use_residual: bool,
    /// Projects the residual to the output's dimension if they differ.
    residual: Option<Linear>,
}

#[derive(Deserialize)]
struct DenseConfig {
    in_features: usize,
    out_features: usize,
    #[serde(default = "yes")]
    bias: bool,
    #[serde(default = "tanh")]
    activation_function: String,
    #[serde(default)]
    use_residual: bool,
    module_input_name: Option<String>,
    module_output_name: Option<String>,
}

fn yes() -> bool {
    true
}

fn tanh() -> String {
    "torch.nn.modules.activation.Tanh".to_owned()
}

impl Dense {
    fn load(
        folder: &Path,
        file: &TensorFile,
        dims: usize,
        device: &Device,
    ) -> Result<Self, ModelError> {
        let (path, value) = config_file::read(folder)?;
        let config: DenseConfig = config_file::parse(&path, &value)?;
        let unsupported = |what| ModelError::Unsupported {
            path: path.clone(),
            what,
        };
        let names = [&config.module_input_name, &config.module_output_name];
        let mut names = names.into_iter().flatten();
        if let Some(name) = names.find(|name| *name != SENTENCE_EMBEDDING) {
            return Err(unsupported(format!("a Dense module over `{name}`")));
        }
        let (input, out) = (config.in_features, config.out_features);
        config_file::check_sizes(&path, &[("in_features", input), ("out_features", out)])?;
        if input != dims {
            let reason = format!("is {input}, but the previous module outputs {dims} dimensions");
            return Err(config_file::wrong(&path, "in_features", reason));
        }
        let named = &config.activation_function;
        let act = DenseActivation::from_path(named)
            .ok_or_else(|| unsupported(format!("the activation `{named}`")))?;
        let checkpoint = Checkpoint { file, device };
        let shape = [out, input];
        Ok(Self {
            linear: Linear::load(&checkpoint, "linear", shape, config.bias)?,
            act,
            use_residual: config.use_residual,
            residual: match config.use_residual && input != out {
                true => Some(Linear::load(&checkpoint, "residual", shape, false)?),
                false => None,
            },
        })
    }

    /// # Shapes
    /// `[batch, in]` to `[batch, out]`
    fn forward(&self, x: Tensor<2>) -> Tensor<2> {
        let through =
            |linear: &Linear, x: Tensor<2>| linear.forward(x.unsqueeze::<3>()).squeeze_dim::<2>(0);
        let out = self.act.forward(through(&self.linear, x.clone()));
        match (self.use_residual, &self.residual) {
            (false, _) => out,
            (true, None) => out + x,
            (true, Some(projection)) => out + through(projection, x),
        }
    }
}

/// The torch activations that Dense modules refer to by path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum DenseActivation {
    Identity,
    Tanh,
    Relu,
    Gelu,
    Silu,
    Sigmoid,
}

impl DenseActivation {
    fn from_path(path: &str) -> Option<Self> {
        let name = path.strip_prefix("torch.nn.")?.rsplit('.').next()?;
        Some(match name {
            "Identity" => Self::Identity,
            "Tanh" => Self::Tanh,
            "ReLU" => Self::Relu,
            "GELU" => Self::Gelu,
            "SiLU" => Self::Silu,
            "Sigmoid" => Self::Sigmoid,
            _ => return None,
        })
    }

    fn forward(self, x: Tensor<2>) -> Tensor<2> {
        match self {
            Self::Identity => x,
            Self::Tanh => x.tanh(),
            Self::Relu => activation::relu(x),
            Self::Gelu => activation::gelu(x),
            Self::Silu => activation::silu(x),
            Self::Sigmoid => activation::sigmoid(x),
        }
    }
}
