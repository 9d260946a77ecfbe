//! A linear layer that can carry a low-rank adapter.

use burn::module::{Module, Param};
use burn::nn::{Dropout, DropoutConfig};
use burn::tensor::{Device, Distribution, Tensor, module::linear};

use crate::checkpoint::Checkpoint;
use crate::error::ModelError;
use crate::parameters::{NamedValues, Values, param, replaced};
use crate::safetensors_file::TensorFile;

/// `y = x W + b`, and with an adapter `y = x W + b + s · (dropout(x) A) B`.
///
/// `A` and `B` are applied to the activations and never merged into `W`, so a frozen `W` needs no
/// gradient (Hu et al., arXiv 2106.09685).
#[derive(Module, Debug)]
pub struct Linear {
    /// `[in, out]`; most checkpoints store the transpose.
    weight: Param<Tensor<2>>,
    /// `[out]`
    bias: Option<Param<Tensor<1>>>,
    /// `[in, r]`
    lora_a: Option<Param<Tensor<2>>>,
    /// `[r, out]`
    lora_b: Option<Param<Tensor<2>>>,
    lora_scale: f64,
    lora_dropout: Dropout,
    /// Whether the checkpoint stores the weight as `[in, out]`, as GPT-2's `Conv1D` does.
    conv1d: bool,
}

/// The adapter settings of one layer.
pub(crate) struct LoraLayer {
    /// Rank.
    pub(crate) r: usize,
    /// Scale of the adapter's output.
    pub(crate) scale: f64,
    /// Dropout of the adapter's input.
    pub(crate) dropout: f64,
}

impl Linear {
    pub(crate) fn load(
        checkpoint: &Checkpoint<'_>,
        name: &str,
        [out, input]: [usize; 2],
        bias: bool,
    ) -> Result<Self, ModelError> {
        let bias = match bias {
            true => Some(checkpoint.param(&format!("{name}.bias"), [out])?),
            false => None,
        };
        Ok(Self::new(
            checkpoint.transposed(&format!("{name}.weight"), [out, input])?,
            bias,
        ))
    }

    /// Loads a layer with a bias whose weight is stored as `[in, out]`.
    pub(crate) fn load_conv1d(
        checkpoint: &Checkpoint<'_>,
        name: &str,
        [input, out]: [usize; 2],
    ) -> Result<Self, ModelError> {
        let weight = checkpoint.param(&format!("{name}.weight"), [input, out])?;
        let bias = checkpoint.param(&format!("{name}.bias"), [out])?;
        Ok(Self {
            conv1d: true,
            ..Self::new(weight, Some(bias))
        })
    }

    /// A layer of zeros without bias, as a placeholder for one that is loaded later.
    pub(crate) fn zeros(name: &str, [out, input]: [usize; 2], device: &Device) -> Self {
        let weight = param(
            &format!("{name}.weight"),
            Tensor::zeros([input, out], device),
        );
        Self::new(weight, None)
    }

    /// `weight` is `[in, out]`.
    pub(crate) fn new(weight: Param<Tensor<2>>, bias: Option<Param<Tensor<1>>>) -> Self {
        Self {
            weight,
            bias,
            lora_a: None,
            lora_b: None,
            lora_scale: 0.0,
            lora_dropout: DropoutConfig::new(0.0).init(),
            conv1d: false,
        }
    }

    /// # Shapes
    /// `[.., in]` to `[.., out]`
    pub(crate) fn forward(&self, x: Tensor<3>) -> Tensor<3> {
        let bias = self.bias.as_ref().map(Param::val);
        let (Some(a), Some(b)) = (&self.lora_a, &self.lora_b) else {
            return linear(x, self.weight.val(), bias);
        };
        let low_rank = linear(
            linear(self.lora_dropout.forward(x.clone()), a.val(), None),
            b.val(),
            None,
        );
        linear(x, self.weight.val(), bias) + low_rank * self.lora_scale
    }

    /// Adds a new adapter, initialized as in peft: `A` is Kaiming uniform with gain √(1/3), which
    /// is ±1/√in, and `B` is zero, so the layer's output does not change.
    pub(crate) fn attach_lora(&mut self, name: &str, layer: &LoraLayer) {
        let device = self.weight.device();
        let [input, out] = self.weight.dims();
        let bound = 1.0 / (input as f64).sqrt();
        let a = Tensor::random(
            [input, layer.r],
            Distribution::Uniform(-bound, bound),
            &device,
        );
        let b = Tensor::zeros([layer.r, out], &device);
        self.lora_a = Some(param(&format!("{name}.lora_A"), a));
        self.lora_b = Some(param(&format!("{name}.lora_B"), b));
        self.lora_scale = layer.scale;
        self.lora_dropout = DropoutConfig::new(layer.dropout).init();
    }

    /// Loads the values of the adapter, if there is one. `prefix` precedes the names in the file.
    pub(crate) fn read_lora(
        &mut self,
        name: &str,
        file: &TensorFile,
        prefix: &str,
    ) -> Result<(), ModelError> {
        for (part, value) in [("lora_A", &mut self.lora_a), ("lora_B", &mut self.lora_b)] {
            if let Some(value) = value {
                let [rows, columns] = value.dims();
                let key = format!("{prefix}{name}.{part}.weight");
                let read = file.transposed_of(&key, [columns, rows], &value.device())?;
                *value = replaced(value, read);
            }
        }
        Ok(())
    }

    /// Loads the layer's own values. `prefix` precedes the names in the file.
    pub(crate) fn read(
        &mut self,
        name: &str,
        file: &TensorFile,
        prefix: &str,
    ) -> Result<(), ModelError> {
        let device = self.weight.device();
        let [input, out] = self.weight.dims();
        let key = format!("{prefix}{name}.weight");
        let weight = match self.conv1d {
            true => file.tensor_of(&key, [input, out], &device)?,
            false => file.transposed_of(&key, [out, input], &device)?,
        };
        self.weight = replaced(&self.weight, weight);
        if let Some(bias) = &mut self.bias {
            let read = file.tensor_of(&format!("{prefix}{name}.bias"), [out], &device)?;
            *bias = replaced(bias, read);
        }
        Ok(())
    }

    /// Makes a frozen layer trainable.
    pub(crate) fn thaw(&mut self) {
        self.weight = self.weight.clone().set_require_grad(true);
        self.bias = self.bias.take().map(|bias| bias.set_require_grad(true));
    }

    /// Whether the layer has an adapter.
    pub(crate) fn has_lora(&self) -> bool {
        self.lora_a.is_some()
    }

    /// Whether checkpoints store the weight as `[in, out]`.
    pub(crate) fn is_conv1d(&self) -> bool {
        self.conv1d
    }

    /// Merges the adapter into the weight.
    pub(crate) fn merge_lora(&mut self) {
        let (Some(a), Some(b)) = (self.lora_a.take(), self.lora_b.take()) else {
            return;
        };
        let delta = a.val().matmul(b.val()) * self.lora_scale;
        self.weight = self.weight.clone().map(|weight| weight + delta);
    }

    /// `[out, in]`
    pub(crate) fn shape(&self) -> [usize; 2] {
        let [input, out] = self.weight.dims();
        [out, input]
    }

    /// The layer's own parameters in the checkpoint's layout.
    pub(crate) fn collect(&self, name: &str, into: &mut NamedValues) {
        let weight = match self.conv1d {
            true => self.weight.val(),
            false => self.weight.val().transpose(),
        };
        into.push((format!("{name}.weight"), Values::of(weight)));
        if let Some(bias) = &self.bias {
            into.push((format!("{name}.bias"), Values::of(bias.val())));
        }
    }

    /// The adapter's parameters in peft's layout: `lora_A` `[r, in]`, `lora_B` `[out, r]`.
    pub(crate) fn collect_lora(&self, name: &str, into: &mut NamedValues) {
        for (part, value) in [("lora_A", &self.lora_a), ("lora_B", &self.lora_b)] {
            if let Some(value) = value {
                into.push((
                    format!("{name}.{part}.weight"),
                    Values::of(value.val().transpose()),
                ));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WIDTH: usize = 64;
    const ROWS: usize = 1000;

    /// A layer of 10 times the identity with an identity adapter, so that the output reveals the
    /// adapter's input: `y = 10 x + scale · dropout(x)`.
    fn layer(dropout: f64, scale: f64, device: &Device) -> Linear {
        let eye = || Tensor::<2>::eye(WIDTH, device);
        let mut linear = Linear::new(param("weight", eye() * 10.0), None);
        let layer = LoraLayer {
            r: WIDTH,
            scale,
            dropout,
        };
        linear.attach_lora("layer", &layer);
        linear.lora_a = Some(param("a", eye()));
        linear.lora_b = Some(param("b", eye()));
        linear
    }

    /// What the layer adds to `10 x` for an `x` of ones.
    fn added(linear: &Linear, device: &Device) -> Tensor<2> {
        let x = Tensor::<3>::ones([1, ROWS, WIDTH], device);
        linear.forward(x).squeeze_dim::<2>(0) - 10.0
    }

    fn numbers<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
        tensor.into_data().try_to_vec().expect("f32")
    }

    /// As in peft, dropout applies only to the adapter's input and keeps its mean.
    #[test]
    fn dropout_is_of_the_adapters_input_alone_and_keeps_its_mean() {
        let device = Device::flex().autodiff();
        for (rate, scale) in [(0.1, 2.0), (0.25, 1.0), (0.75, 0.5)] {
            let found = numbers(added(&layer(rate, scale, &device), &device));
            let kept = scale / (1.0 - rate);
            for value in &found {
                let value = f64::from(*value);
                assert!(
                    value.abs() < 1e-4 || (value - kept).abs() < 1e-4,
                    "{value} at {rate}: neither 0 nor {kept}"
                );
            }
            let count = found.len() as f64;
            let zeros = found.iter().filter(|value| value.abs() < 1e-4).count() as f64;
            let mean = found.iter().map(|value| f64::from(*value)).sum::<f64>() / count;
            // Six standard deviations of a share of this many draws.
            let margin = 6.0 * (rate * (1.0 - rate) / count).sqrt();
            assert!(
                (zeros / count - rate).abs() < margin,
                "{zeros} of {count} at {rate}"
            );
            assert!(
                (mean - scale).abs() < kept * margin,
                "{mean} at {rate}, not {scale}"
            );
        }
    }

    #[test]
    fn dropout_is_drawn_anew_for_every_call_and_number() {
        let device = Device::flex().autodiff();
        let linear = layer(0.5, 1.0, &device);
        let draw = || numbers(added(&linear, &device));
        let (first, second) = (draw(), draw());
        assert_ne!(first, second);
        let rows: Vec<&[f32]> = first.chunks(WIDTH).collect();
        assert!(rows.iter().any(|row| row[0] != row[1]));
    }

    /// `dL/dB = scale · (dropout(x) A)ᵀ dL/dy`: with `L` the sum of `y`, its rows are sums over the
    /// inputs that dropout kept.
    #[test]
    fn gradients_are_of_the_mask_that_was_drawn() {
        let device = Device::flex().autodiff();
        let linear = layer(0.5, 2.0, &device);
        let output = added(&linear, &device);
        let through = numbers(output.clone().detach().sum_dim(0));
        let gradients = output.sum().backward();
        let b = linear.lora_b.as_ref().expect("an adapter").val();
        let gradient = numbers(b.grad(&gradients).expect("a gradient"));
        for (row, through) in gradient.chunks(WIDTH).zip(through) {
            for value in row {
                assert!((value - through).abs() < 1e-2, "{value}, not {through}");
            }
        }
    }

    #[test]
    fn nothing_is_dropped_at_rate_0_nor_outside_training() {
        for (rate, device) in [(0.0, Device::flex().autodiff()), (0.9, Device::flex())] {
            let found = numbers(added(&layer(rate, 2.0, &device), &device));
            assert!(found.iter().all(|value| (value - 2.0).abs() < 1e-5));
        }
    }
}
