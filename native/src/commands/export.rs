//! `rarebit export`: a trained model in the form that others read.

use std::io::{self, Write};
use std::path::PathBuf;

use anyhow::ensure;
use clap::ValueEnum;
use rarebit_models::safetensors_file::Precision;

use super::Global;
use crate::model;

/// Write a model in another precision, or fold an adapter into its base
///
/// The result is a Hugging Face folder that transformers reads.
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
}

/// torch's names.
#[derive(Clone, Copy, Debug, Default, ValueEnum)]
enum Dtype {
    #[default]
    Float32,
    Float16,
    Bfloat16,
}

pub(crate) fn run(args: ExportArgs, global: &Global) -> anyhow::Result<()> {
    let mut loaded = model::load(&args.model, &global.open_device()?)?;
    ensure!(
        !loaded.stands_in(&args.output),
        "{} is what is being exported: give another --output",
        args.output.display()
    );
    ensure!(
        loaded.adapter.is_some() || !args.merge,
        "{} is a whole model: there is no adapter to merge",
        args.model
    );
    if args.merge {
        loaded.model = loaded.model.merge_lora();
        loaded.adapter = None;
    }
    ensure!(
        loaded.adapter.is_none(),
        "{} is an adapter: --merge folds it into its base",
        args.model
    );
    let precision = match args.dtype {
        Dtype::Float32 => Precision::F32,
        Dtype::Float16 => Precision::F16,
        Dtype::Bfloat16 => Precision::Bf16,
    };
    loaded.save(&args.output, None, precision)?;
    writeln!(io::stdout(), "{}", args.output.display())?;
    Ok(())
}
