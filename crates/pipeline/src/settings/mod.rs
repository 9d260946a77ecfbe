//! The settings of a run.
//!
//! Each setting is declared once, as a field of the struct of its concern: the field is the key in
//! TOML, the flag, its default and its help. A configuration is the structs that its run reads; in
//! TOML their keys stand side by side.

pub mod chat;
pub mod columns;
pub mod embedders;
pub mod lora;
pub mod objective;
pub mod online;
pub mod reward;
pub mod run;
pub mod sampling;
pub mod source;
pub mod weighting;

use std::path::Path;

use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::parser::ValueSource;
use clap::{ArgMatches, Args, Command};
use serde::Serialize;
use serde::de::DeserializeOwned;
use toml::{Table, Value};

use crate::error::{Context as _, Result, bail, ensure};

/// The keys of a struct of settings.
pub(crate) fn keys<S: Args>() -> Vec<String> {
    let command = S::augment_args(Command::new("settings"));
    let ids = command.get_arguments().map(|it| it.get_id().to_string());
    ids.collect()
}

/// Those of the settings that were given on the command line, under their keys.
///
/// # Errors
/// When a value has no form in TOML.
pub fn given<S: Args + Serialize>(settings: &S, matches: &ArgMatches) -> Result<Table> {
    let all = Table::try_from(settings).with_context(|| {
        format!(
            "a flag cannot be kept in TOML, whose numbers end at {}",
            i64::MAX
        )
    })?;
    let known = keys::<S>();
    let is_given = |key: &str| {
        known.iter().any(|it| it == key)
            && matches.value_source(key) == Some(ValueSource::CommandLine)
    };
    Ok(all.into_iter().filter(|(key, _)| is_given(key)).collect())
}

/// Reads a TOML file, if one is given, puts flags over it, and makes a configuration of both.
pub(crate) fn resolve<C>(
    file: Option<&Path>,
    flags: Table,
    from_table: impl FnOnce(Table) -> Result<C>,
) -> Result<C> {
    let mut table = match file {
        None => Table::new(),
        Some(path) => {
            let text = std::fs::read_to_string(path)
                .with_context(|| format!("cannot read the configuration {}", path.display()))?;
            toml::from_str(&text)
                .with_context(|| format!("{} is not a valid configuration", path.display()))?
        }
    };
    table.extend(flags);
    from_table(table).with_context(|| match file {
        Some(path) => format!("in {} and the flags", path.display()),
        None => "in the flags".to_owned(),
    })
}

/// A configuration on its way from a table to the structs that its keys belong to.
pub(crate) struct Reading {
    table: Table,
    known: Vec<String>,
}

impl Reading {
    pub(crate) fn new(table: Table) -> Self {
        Self {
            table,
            known: Vec::new(),
        }
    }

    /// Whether a key is set.
    pub(crate) fn has(&self, key: &str) -> bool {
        self.table.contains_key(key)
    }

    /// Gives a key a value if it has none.
    pub(crate) fn set_default(&mut self, key: &str, value: Value) {
        self.table.entry(key).or_insert(value);
    }

    /// Refuses a configuration without one of these keys.
    pub(crate) fn require(&self, keys: &[&str]) -> Result<()> {
        for key in keys {
            ensure!(
                self.has(key),
                "`{key}` is missing: set it in the configuration or give --{}",
                key.replace('_', "-")
            );
        }
        Ok(())
    }

    /// Takes the settings of one struct out.
    pub(crate) fn take<S: Args + DeserializeOwned>(&mut self) -> Result<S> {
        let own = self.take_table(keys::<S>());
        Ok(Value::Table(own).try_into()?)
    }

    /// Takes these keys out.
    pub(crate) fn take_table(&mut self, keys: Vec<String>) -> Table {
        let taken = keys.iter().filter_map(|key| self.table.remove_entry(key));
        let taken = taken.collect();
        self.known.extend(keys);
        taken
    }

    /// Refuses keys that belong to no struct.
    pub(crate) fn finish(self) -> Result<()> {
        let Some(key) = self.table.keys().next() else {
            return Ok(());
        };
        match nearest(key, &self.known) {
            Some(known) => bail!("unknown key `{key}`: did you mean `{known}`?"),
            None => bail!(
                "unknown key `{key}`: the keys are the names of the flags that `--help` lists, such as `{}`",
                self.known.first().map_or("", String::as_str)
            ),
        }
    }
}

/// The known key that is most like a misspelt one, if any is.
fn nearest<'k>(key: &str, known: &'k [String]) -> Option<&'k str> {
    let alike = |known: &String| strsim::normalized_damerau_levenshtein(key, known);
    let nearest = known.iter().max_by(|a, b| alike(a).total_cmp(&alike(b)))?;
    (alike(nearest) > 0.6).then_some(nearest)
}

/// Whether a flag is off, in which case a configuration need not mention it.
pub(crate) fn is_off(flag: &bool) -> bool {
    !flag
}

/// A value whose names are those of its serialised form.
pub fn named<T>(names: &'static [&'static str]) -> impl TypedValueParser<Value = T>
where
    T: DeserializeOwned + Clone + Send + Sync + 'static,
{
    PossibleValuesParser::new(names)
        .try_map(|name| serde_json::from_value(serde_json::Value::String(name)))
}
