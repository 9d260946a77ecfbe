//! Settings of any run: a TOML file, flags over it, each key where it belongs.

use std::path::Path;

use anyhow::{Context, anyhow, bail, ensure};
use rarebit_train::TrainingArguments;
use serde::de::DeserializeOwned;
use toml::{Table, Value};

use crate::lora_settings::LoraSettings;

/// Reads a TOML file, if one is given, puts flags over it, and makes a configuration of both.
pub(crate) fn resolve<C>(
    file: Option<&Path>,
    flags: Table,
    from_table: impl FnOnce(Table) -> anyhow::Result<C>,
) -> anyhow::Result<C> {
    let mut table = match file {
        None => Table::new(),
        Some(path) => {
            let text = std::fs::read_to_string(path)
                .with_context(|| format!("cannot read the configuration {}", path.display()))?;
            toml::from_str(&text)
                .with_context(|| format!("{} is not a configuration", path.display()))?
        }
    };
    table.extend(flags);
    from_table(table).with_context(|| match file {
        Some(path) => format!("in {} and the flags", path.display()),
        None => "in the flags".to_owned(),
    })
}

/// Takes a table apart: the run's own settings, its adapter's, its loop's.
pub(crate) fn read<A: DeserializeOwned>(
    table: Table,
    required: &[&str],
) -> anyhow::Result<(A, LoraSettings, TrainingArguments)> {
    let mut of_the_loop = Table::try_from(TrainingArguments::default())?;
    // What the defaults leave out.
    for key in ["max_steps", "lr_scheduler_kwargs"] {
        of_the_loop.insert(key.to_owned(), Value::Integer(0));
    }
    let (arguments, table): (Table, Table) = table
        .into_iter()
        .partition(|(key, _)| of_the_loop.contains_key(key));
    let (lora, own): (Table, Table) = table
        .into_iter()
        .partition(|(key, _)| LoraSettings::KEYS.contains(&key.as_str()));
    for key in required {
        ensure!(
            own.contains_key(*key),
            "`{key}` is missing: set it in the configuration or give --{}",
            key.replace('_', "-")
        );
    }
    let elsewhere = of_the_loop.keys().map(String::as_str);
    let elsewhere: Vec<&str> = elsewhere.chain(LoraSettings::KEYS).collect();
    Ok((
        Value::Table(own)
            .try_into()
            .map_err(|error| with_all_keys(error, &elsewhere))?,
        Value::Table(lora).try_into()?,
        Value::Table(arguments).try_into()?,
    ))
}

/// Whether there is one place to learn from.
pub(crate) fn check_source(
    dataset_name: Option<&Path>,
    train_file: Option<&Path>,
) -> anyhow::Result<()> {
    match (dataset_name, train_file) {
        (None, None) => bail!(
            "there is nothing to train on: give --dataset-name, a folder of `rarebit prepare`, or --train-file"
        ),
        (Some(_), Some(_)) => {
            bail!("`dataset_name` and `train_file` are both set: one of them is enough")
        }
        _ => Ok(()),
    }
}

/// A key that nothing is known of went to the run's own settings, whose error lists only their keys.
fn with_all_keys(error: toml::de::Error, elsewhere: &[&str]) -> anyhow::Error {
    if !error.message().starts_with("unknown field") {
        return error.into();
    }
    let keys: Vec<String> = elsewhere.iter().map(|key| format!("`{key}`")).collect();
    anyhow!("{}, {}", error.message(), keys.join(", "))
}
