//! `rarebit export`: a trained model in the form that others read.

use std::io::{self, Write};
use std::path::PathBuf;

use anyhow::{bail, ensure};
use clap::ValueEnum;
use rarebit_models::causal_lm::CausalLm;
use rarebit_models::lora::Adaptable;
use rarebit_models::safetensors_file::Precision;
use rarebit_models::sequence_classifier::SequenceClassifier;

use rarebit_pipeline::model::folder::ModelFolder;

use crate::global::Global;
use crate::hub::HubOrFolder;

/// Write a model in another precision, fold an adapter into its base, or copy it out
///
/// The result is a Hugging Face folder that transformers and llama.cpp's converter read, or, with
/// --adapter, one that peft reads.
///
/// Example: rarebit export runs/ddpo/model --merge --dtype float16 --output ddpo-f16
#[derive(clap::Args, Clone, Debug)]
pub(crate) struct ExportArgs {
    /// The model: a folder, an adapter's folder, or a Hugging Face id
    #[arg(value_name = "MODEL")]
    model: String,
    /// The folder to write
    #[arg(long, short, value_name = "DIR")]
    output: PathBuf,
    /// Precision of the weights
    #[arg(long, value_enum, default_value_t)]
    dtype: Dtype,
    /// Fold the adapter into the weights
    #[arg(long)]
    merge: bool,
    /// Copy the adapter out, without its base
    #[arg(long, conflicts_with = "merge")]
    adapter: bool,
    /// The largest file of weights, such as 5GB or 500MB: a larger model is written in several
    #[arg(long, value_name = "SIZE", default_value = "50GB", value_parser = bytes)]
    max_shard_size: u64,
}

/// torch's names.
#[derive(Clone, Copy, Debug, Default, ValueEnum)]
enum Dtype {
    #[default]
    Float32,
    Float16,
    Bfloat16,
}

impl From<Dtype> for Precision {
    fn from(dtype: Dtype) -> Self {
        match dtype {
            Dtype::Float32 => Self::F32,
            Dtype::Float16 => Self::F16,
            Dtype::Bfloat16 => Self::Bf16,
        }
    }
}

pub(crate) fn run(args: ExportArgs, global: &Global) -> anyhow::Result<()> {
    let folder = ModelFolder::open(&args.model, &HubOrFolder)?;
    ensure!(
        !folder.stands_in(&args.output),
        "{} is, or holds, what is being exported: give another --output",
        args.output.display()
    );
    match &folder.adapter {
        None if args.merge || args.adapter => bail!(
            "{} is a whole model: there is no adapter to {}",
            args.model,
            if args.merge { "merge" } else { "copy" }
        ),
        Some(adapter) if args.adapter => {
            folder.copy_adapter(adapter, &args.output, args.dtype.into())?;
        }
        Some(_) if !args.merge => bail!(
            "{} is an adapter: --merge folds it into its base, --adapter copies it",
            args.model
        ),
        adapter => {
            let device = global.open_device()?;
            match (folder.is_classifier()?, adapter) {
                (true, Some(adapter)) => {
                    let (model, _) =
                        SequenceClassifier::load_with_adapter(&folder.base, adapter, &device)?;
                    write(&folder, model, &args)?;
                }
                (true, None) => write(
                    &folder,
                    SequenceClassifier::load(&folder.base, &device)?,
                    &args,
                )?,
                (false, adapter) => {
                    let mut model = CausalLm::load(&folder.base, &device)?;
                    if let Some(adapter) = adapter {
                        (model, _) = model.with_adapter(adapter)?;
                    }
                    write(&folder, model, &args)?;
                }
            }
        }
    }
    writeln!(io::stdout(), "{}", args.output.display())?;
    Ok(())
}

/// Writes the model whole.
fn write<M: Adaptable>(folder: &ModelFolder, model: M, args: &ExportArgs) -> anyhow::Result<()> {
    let (model, precision) = (model.merge_lora(), args.dtype.into());
    Ok(folder.write(&args.output, &model, precision, args.max_shard_size)?)
}

/// A size as transformers takes it: a number of bytes, or of KB, MB, GB or TB, powers of 1000.
fn bytes(text: &str) -> Result<u64, String> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit = match text[digits.len()..].to_ascii_uppercase().as_str() {
        "" | "B" => 1,
        "KB" => 1_000,
        "MB" => 1_000_000,
        "GB" => 1_000_000_000,
        "TB" => 1_000_000_000_000,
        _ => 0,
    };
    match digits
        .trim()
        .parse::<u64>()
        .ok()
        .and_then(|n| n.checked_mul(unit))
    {
        Some(size) if size > 0 => Ok(size),
        _ => Err(format!(
            "`{text}` is not a size; give one such as 5GB, 500MB or 1000000"
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_as_transformers_reads_them() {
        for (text, size) in [
            ("1000", Some(1000)),
            ("5GB", Some(5_000_000_000)),
            ("500mb", Some(500_000_000)),
            ("1 KB", Some(1000)),
            ("0", None),
            ("-1", None),
            ("GB", None),
            ("5XB", None),
            ("5.5GB", None),
            ("99999999999TB", None),
        ] {
            assert_eq!(bytes(text).ok(), size, "{text}");
        }
    }
}
