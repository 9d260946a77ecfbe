//! Low-rank adapters in peft's format: `adapter_config.json` and `adapter_model.safetensors`.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use burn::module::Param;
use burn::tensor::Tensor;

use crate::error::ModelError;
use crate::linear::{Linear, LoraLayer};
use crate::parameters::{NamedTensors, NamedValues, Values, read_all, replaced, with_ids_of};
use crate::safetensors_file::{Precision, TensorFile, save};
use crate::tunable::{TunableLayer, TunableModel};

mod config;
mod targets;

pub use config::{ADAPTER_CONFIG, LoraConfig, TargetModules, read_adapter_config};
use targets::Targets;

/// File of an adapter's weights.
pub const ADAPTER_MODEL: &str = "adapter_model.safetensors";
/// The head's name in a language model.
const HEAD: &str = "lm_head";
/// The names, without their path, under which peft looks for embeddings and heads that may be tied.
const EMBEDDING_LAYERS: [&str; 2] = ["embed_tokens", HEAD];
/// The prefix that peft adds to the names of the model's modules.
pub(crate) const PREFIX: &str = "base_model.model.";

/// A model that can have an adapter; implemented for every `TunableModel`.
pub trait Adaptable: TunableModel {
    /// Freezes the model, adds new adapters to the target layers, and unfreezes the modules that
    /// are trained in full.
    ///
    /// # Errors
    /// If the settings match no layer of this model, or name a module that it does not have.
    fn with_lora(self, config: &LoraConfig) -> Result<Self, ModelError> {
        attach(self, config, &|_, _, _| Ok(()))
    }

    /// Freezes the model and adds the adapter of a peft folder.
    ///
    /// # Errors
    /// If the folder holds no adapter, or one that does not fit this model.
    fn with_adapter(self, folder: &Path) -> Result<(Self, LoraConfig), ModelError> {
        let config = read_adapter_config(folder)?;
        let file = TensorFile::open(folder.join(ADAPTER_MODEL))?;
        // Checked before anything is allocated: the settings can name any rank.
        let is_there = |name: &str, layer: &LoraLayer, [out, input]: [usize; 2]| {
            let key = |part: &str| format!("{PREFIX}{name}.{part}.weight");
            file.expect(&key("lora_A"), &[layer.r, input])?;
            file.expect(&key("lora_B"), &[out, layer.r])
        };
        let mut model = attach(self, &config, &is_there)?;
        read_changes(&mut model, &file, PREFIX)?;
        let head = match tied_embedding(&model) {
            Some(embedding) => read_tied_head(&file, &embedding)?,
            None => None,
        };
        let strangers = || file.unread().filter(|&name| Some(name) != head.as_deref());
        match strangers().next() {
            Some(stranger) => Err(ModelError::Setting {
                path: file.path().to_owned(),
                key: stranger.to_owned(),
                reason: format!(
                    "the model has no such parameter according to {ADAPTER_CONFIG} ({} of {} tensors do not fit)",
                    strangers().count(),
                    file.names().count()
                ),
            }),
            None => Ok((model, config)),
        }
    }

    /// The trainable parameters: the adapter and the modules trained in full, or every parameter if
    /// there is no adapter.
    fn trained_values(&self) -> NamedValues {
        match self.adapter() {
            Some(config) => changes(self, config, ""),
            None => self.named_values(),
        }
    }

    /// Whether training uses random numbers, for dropout.
    fn draws(&self) -> bool {
        self.adapter()
            .is_some_and(|config| config.lora_dropout > 0.0)
    }

    /// [`Self::trained_values`], copied from the device.
    fn trained_tensors(&self) -> NamedTensors {
        read_all(&self.trained_values())
    }

    /// The model with the values that [`Self::trained_tensors`] returned, loaded from a file.
    ///
    /// # Errors
    /// If a tensor is missing or has the wrong shape.
    fn with_trained_tensors(mut self, file: &TensorFile) -> Result<Self, ModelError> {
        if self.adapter().is_none() {
            return Ok(with_ids_of(self.reload(file)?, &self));
        }
        read_changes(&mut self, file, "")?;
        Ok(self)
    }

    /// Merges the adapters into the weights.
    fn merge_lora(mut self) -> Self {
        self.for_each_tunable(&mut |_, layer| {
            if let TunableLayer::Linear(linear) | TunableLayer::Head(linear) = layer {
                linear.merge_lora();
            }
        });
        self.set_adapter(None);
        self
    }

    /// Writes the adapter as a folder for `PeftModel.from_pretrained`. `base` is written as
    /// `base_model_name_or_path`.
    ///
    /// # Errors
    /// If the model has no adapter, or the folder cannot be written.
    fn save_adapter(
        &self,
        folder: &Path,
        base: &str,
        precision: Precision,
    ) -> Result<(), ModelError> {
        let Some(config) = self.adapter() else {
            let reason = "the model has no adapter".to_owned();
            return Err(setting("target_modules", reason));
        };
        let mut tensors = changes(self, config, PREFIX);
        if let Some(embedding) = tied_embedding(self) {
            // peft needs the shared weight under both names.
            let both = changes(self, config, PREFIX);
            let key = format!("{PREFIX}{embedding}.weight");
            let shared = both.into_iter().find(|(name, _)| *name == key);
            tensors.extend(shared.map(|(_, values)| (format!("{PREFIX}{HEAD}.weight"), values)));
        }
        save(
            &folder.join(ADAPTER_MODEL),
            &tensors,
            precision,
            &format_metadata(),
        )?;
        let mut fan_in_fan_out = false;
        self.clone().for_each_tunable(&mut |_, layer| {
            if let TunableLayer::Linear(linear) | TunableLayer::Head(linear) = layer {
                fan_in_fan_out |= linear.has_lora() && linear.is_conv1d();
            }
        });
        config::write(folder, config, Self::TASK_TYPE, base, fan_in_fan_out)
    }
}

impl<M: TunableModel> Adaptable for M {}

/// A check of a layer's name, its adapter settings and its shape `[out, in]`.
type LayerCheck<'a> = dyn Fn(&str, &LoraLayer, [usize; 2]) -> Result<(), ModelError> + 'a;

/// [`Adaptable::with_lora`]; `check` is called for each layer before its adapter is added.
fn attach<M: TunableModel>(
    model: M,
    config: &LoraConfig,
    check: &LayerCheck<'_>,
) -> Result<M, ModelError> {
    let mut config = LoraConfig {
        modules_to_save: trained_in_full::<M>(config),
        ..config.clone()
    };
    let mut model = model;
    settle_tie(&mut model, &mut config);
    let targets = Targets::new(&config)?;
    let mut model = model.no_grad();
    check_modules_to_save(&mut model, &targets)?;
    let mut attached = false;
    for_each_change(&mut model, &targets, &mut |name, change| {
        match change {
            Change::Adapter(linear, layer) => {
                check(name, &layer, linear.shape())?;
                linear.attach_lora(name, &layer);
                attached = true;
            }
            Change::Whole(linear) => linear.thaw(),
            Change::WholeTable(table) => *table = table.clone().set_require_grad(true),
        }
        Ok(())
    })?;
    if !attached {
        let reason = format!(
            "no layer matches {}; this model has {}",
            config.target_modules,
            listed(&mut model, |layer| matches!(layer, TunableLayer::Linear(_)))
        );
        return Err(setting("target_modules", reason));
    }
    model.set_adapter(Some(config));
    Ok(model)
}

/// What adapter training changes in a layer.
enum Change<'a> {
    Adapter(&'a mut Linear, LoraLayer),
    /// A linear layer that is trained in full.
    Whole(&'a mut Linear),
    /// Embeddings that are trained in full.
    WholeTable(&'a mut Param<Tensor<2>>),
}

/// Calls `f` with every layer that training changes, until `f` fails.
fn for_each_change<M: TunableModel>(
    model: &mut M,
    targets: &Targets<'_>,
    f: &mut dyn FnMut(&str, Change<'_>) -> Result<(), ModelError>,
) -> Result<(), ModelError> {
    let mut result = Ok(());
    model.for_each_tunable(&mut |name, layer| {
        if result.is_ok() {
            result = change(targets, name, layer).and_then(|change| match change {
                Some(change) => f(name, change),
                None => Ok(()),
            });
        }
    });
    result
}

fn change<'a>(
    targets: &Targets<'_>,
    name: &str,
    layer: TunableLayer<'a>,
) -> Result<Option<Change<'a>>, ModelError> {
    let is_head = matches!(layer, TunableLayer::Head(_));
    Ok(match layer {
        TunableLayer::Embedding(table) if targets.saves(name) => Some(Change::WholeTable(table)),
        TunableLayer::Embedding(_) => match targets.selects_table(name)? {
            true => {
                return Err(ModelError::Unsupported {
                    path: ADAPTER_CONFIG.into(),
                    what: format!("an adapter of the embeddings, `{name}`"),
                });
            }
            false => None,
        },
        TunableLayer::Linear(linear) | TunableLayer::Head(linear) if targets.saves(name) => {
            Some(Change::Whole(linear))
        }
        TunableLayer::Linear(linear) | TunableLayer::Head(linear) => {
            let adapter = targets.layer(name, is_head)?;
            adapter.map(|adapter| Change::Adapter(linear, adapter))
        }
    })
}

/// The adapter's parameters in peft's layout, and those of the modules trained in full.
fn changes<M: TunableModel>(model: &M, config: &LoraConfig, prefix: &str) -> NamedValues {
    let mut tensors = Vec::new();
    // This copies handles, not values.
    let mut model = model.clone();
    let collected = Targets::new(config).and_then(|targets| {
        for_each_change(&mut model, &targets, &mut |name, change| {
            let name = format!("{prefix}{name}");
            match change {
                Change::Adapter(linear, _) => linear.collect_lora(&name, &mut tensors),
                Change::Whole(linear) => linear.collect(&name, &mut tensors),
                Change::WholeTable(table) => {
                    tensors.push((format!("{name}.weight"), Values::of(table.val())));
                }
            }
            Ok(())
        })
    });
    debug_assert!(
        collected.is_ok(),
        "the settings were validated when the adapter was added"
    );
    tensors
}

/// Loads the parameters that [`changes`] returned.
fn read_changes<M: TunableModel>(
    model: &mut M,
    file: &TensorFile,
    prefix: &str,
) -> Result<(), ModelError> {
    let config = model.adapter().cloned().unwrap_or_default();
    for_each_change(
        model,
        &Targets::new(&config)?,
        &mut |name, change| match change {
            Change::Adapter(linear, _) => linear.read_lora(name, file, prefix),
            Change::Whole(linear) => linear.read(name, file, prefix),
            Change::WholeTable(table) => {
                let key = format!("{prefix}{name}.weight");
                let (shape, device) = (table.val().dims(), table.val().device());
                *table = replaced(table, file.tensor_of(&key, shape, &device)?);
                Ok(())
            }
        },
    )
}

/// The modules to train in full: those requested, and those that peft always adds.
fn trained_in_full<M: TunableModel>(config: &LoraConfig) -> Option<Vec<String>> {
    let mut modules = config.modules_to_save.clone().unwrap_or_default();
    for &module in M::TRAINED_IN_FULL {
        if !modules.iter().any(|known| known == module) {
            modules.push(module.to_owned());
        }
    }
    (!modules.is_empty()).then_some(modules)
}

/// Decides what becomes of a weight that is both embedding and head where one of them is trained in
/// full. Like peft, this trains copies that diverge, unless `ensure_weight_tying` asks for one
/// weight.
fn settle_tie<M: TunableModel>(model: &mut M, config: &mut LoraConfig) {
    let (true, Some(saved)) = (model.is_tied(), &mut config.modules_to_save) else {
        return;
    };
    let embedding = embedding_name(model);
    let is_looked_for = |name: &String| {
        let last = name.rsplit('.').next().unwrap_or(name);
        EMBEDDING_LAYERS.contains(&last)
    };
    if config.ensure_weight_tying && saved.iter().any(is_looked_for) {
        saved.retain(|end| !HEAD.ends_with(end.as_str()));
        if !saved.contains(&embedding) {
            saved.push(embedding);
        }
    } else if saved
        .iter()
        .any(|end| embedding.ends_with(end.as_str()) || HEAD.ends_with(end.as_str()))
    {
        model.untie();
    }
}

/// The name of the embeddings.
fn embedding_name<M: TunableModel>(model: &mut M) -> String {
    let mut found = String::new();
    model.for_each_tunable(&mut |name, layer| {
        if matches!(layer, TunableLayer::Embedding(_)) {
            found = name.to_owned();
        }
    });
    found
}

/// The name of the embeddings if they are trained in full and are the head as well.
fn tied_embedding<M: TunableModel>(model: &M) -> Option<String> {
    let saved = model.adapter()?.modules_to_save.as_ref()?;
    if !model.is_tied() {
        return None;
    }
    // This copies handles, not values.
    let name = embedding_name(&mut model.clone());
    saved
        .iter()
        .any(|end| name.ends_with(end.as_str()))
        .then_some(name)
}

/// The key of the head in an adapter whose head is its embedding, if the file has one. It must be
/// the same weight.
fn read_tied_head(file: &TensorFile, embedding: &str) -> Result<Option<String>, ModelError> {
    let (head, embedding) = (
        format!("{PREFIX}{HEAD}.weight"),
        format!("{PREFIX}{embedding}.weight"),
    );
    if !file.contains(&head) {
        return Ok(None);
    }
    match file.are_equal(&head, &embedding)? {
        true => Ok(Some(head)),
        false => Err(ModelError::Setting {
            path: file.path().to_owned(),
            key: head,
            reason: format!(
                "differs from {embedding}, but `ensure_weight_tying` in {ADAPTER_CONFIG} makes them one weight"
            ),
        }),
    }
}

/// Rejects `modules_to_save` that the model does not have.
fn check_modules_to_save<M: TunableModel>(
    model: &mut M,
    targets: &Targets<'_>,
) -> Result<(), ModelError> {
    let mut names = Vec::new();
    model.for_each_tunable(&mut |name, _| names.push(name.to_owned()));
    let unknown = targets.saved().find(|end| {
        !M::TRAINED_IN_FULL.contains(end) && !names.iter().any(|name| name.ends_with(end))
    });
    match unknown {
        Some(unknown) => Err(setting(
            "modules_to_save",
            format!(
                "`{unknown}` cannot be trained in full; this model has {}",
                listed(model, |_| true)
            ),
        )),
        None => Ok(()),
    }
}

/// The last segments of the names of some layers, without duplicates.
fn listed<M: TunableModel>(model: &mut M, selects: impl Fn(&TunableLayer<'_>) -> bool) -> String {
    let mut words = BTreeSet::new();
    model.for_each_tunable(&mut |name, layer| {
        if selects(&layer) {
            words.insert(name.rsplit('.').next().unwrap_or(name).to_owned());
        }
    });
    words.into_iter().collect::<Vec<_>>().join(", ")
}

fn setting(key: &str, reason: String) -> ModelError {
    ModelError::Setting {
        path: ADAPTER_CONFIG.into(),
        key: key.to_owned(),
        reason,
    }
}

/// The header entry by which transformers recognizes PyTorch's layout.
pub(crate) fn format_metadata() -> BTreeMap<String, String> {
    BTreeMap::from([("format".to_owned(), "pt".to_owned())])
}
