//! The modules that an adapter's settings select, by peft's rules.

use std::path::Path;

use fancy_regex::Regex;
use serde_json::{Map, Value};

use super::{ADAPTER_CONFIG, LoraConfig, TargetModules};
use crate::error::ModelError;
use crate::linear::LoraLayer;

/// An adapter's settings with compiled patterns.
pub(super) struct Targets<'a> {
    config: &'a LoraConfig,
    target: Matcher<'a>,
    exclude: Option<Matcher<'a>>,
    /// Patterns whose first group is a block's index, if the settings select blocks.
    blocks: Vec<Regex>,
    ranks: Vec<(Regex, f64)>,
    alphas: Vec<(Regex, f64)>,
}

enum Matcher<'a> {
    AllLinear,
    Regex(Regex),
    Names(&'a [String]),
}

impl<'a> Targets<'a> {
    /// # Errors
    /// If a pattern is not a valid regular expression, or a rank or alpha is not a number.
    pub(super) fn new(config: &'a LoraConfig) -> Result<Self, ModelError> {
        let blocks = match (&config.layers_to_transform, &config.layers_pattern) {
            (None, _) => Vec::new(),
            (Some(_), None) => vec![r"\A.*?\.[^.]*\.(\d+)\.".to_owned()],
            (Some(_), Some(patterns)) => patterns
                .iter()
                .map(|pattern| format!(r"\A(?:.*?\.)?{pattern}\.(\d+)\."))
                .collect(),
        };
        let target = match config.target_modules.is_all_linear() {
            true => Matcher::AllLinear,
            false => Matcher::new("target_modules", &config.target_modules)?,
        };
        let exclude = config.exclude_modules.as_ref();
        let this = Self {
            config,
            target,
            exclude: exclude
                .map(|modules| Matcher::new("exclude_modules", modules))
                .transpose()?,
            blocks: blocks
                .iter()
                .map(|pattern| regex("layers_pattern", pattern))
                .collect::<Result<_, _>>()?,
            ranks: patterns("rank_pattern", &config.rank_pattern)?,
            alphas: patterns("alpha_pattern", &config.alpha_pattern)?,
        };
        let wrong_rank = |rank: &f64| *rank < 1.0 || rank.fract() != 0.0;
        match this
            .ranks
            .iter()
            .map(|(_, rank)| rank)
            .find(|rank| wrong_rank(rank))
        {
            Some(rank) => Err(wrong(
                "rank_pattern",
                format!("{rank} is not a valid rank; use a whole number of at least 1"),
            )),
            None if config.r == 0 => Err(wrong("r", "is 0; a rank must be at least 1".to_owned())),
            None => Ok(this),
        }
    }

    /// The adapter settings of a linear layer, if it gets an adapter.
    pub(super) fn layer(&self, name: &str, is_head: bool) -> Result<Option<LoraLayer>, ModelError> {
        if !self.takes(name, is_head)? {
            return Ok(None);
        }
        let r = of_name(&self.ranks, name)?.map_or(self.config.r, |rank| rank as usize);
        let alpha = of_name(&self.alphas, name)?.unwrap_or(self.config.lora_alpha);
        Ok(Some(LoraLayer {
            r,
            scale: self.config.scale_of(r, alpha),
            dropout: self.config.lora_dropout,
        }))
    }

    /// Whether the settings select the embeddings of that name for an adapter.
    pub(super) fn selects_table(&self, name: &str) -> Result<bool, ModelError> {
        Ok(!matches!(self.target, Matcher::AllLinear) && self.takes(name, false)?)
    }

    /// Whether a module is trained in full.
    pub(super) fn saves(&self, name: &str) -> bool {
        self.saved().any(|end| name.ends_with(end))
    }

    /// The ends of the names of modules that are trained in full.
    pub(super) fn saved(&self) -> impl Iterator<Item = &str> {
        let saved = self.config.modules_to_save.iter().flatten();
        saved.map(String::as_str)
    }

    fn takes(&self, name: &str, is_head: bool) -> Result<bool, ModelError> {
        if let Some(exclude) = &self.exclude
            && exclude.matches(name, is_head)?
        {
            return Ok(false);
        }
        // A module that is trained in full gets no adapter, and neither do its submodules.
        let dotted = format!(".{name}.");
        if self
            .saved()
            .any(|part| dotted.contains(&format!(".{part}.")))
        {
            return Ok(false);
        }
        Ok(self.target.matches(name, is_head)? && self.is_in_block(name)?)
    }

    /// Whether the layer is in a selected block. Patterns and full names are not restricted to
    /// blocks.
    fn is_in_block(&self, name: &str) -> Result<bool, ModelError> {
        let (Some(chosen), Matcher::Names(names)) =
            (&self.config.layers_to_transform, &self.target)
        else {
            return Ok(true);
        };
        if names.iter().any(|full| full == name) {
            return Ok(true);
        }
        for pattern in &self.blocks {
            let found = pattern.captures(name).map_err(too_hard)?;
            if let Some(number) = found.and_then(|found| found.get(1)) {
                let number: Option<usize> = number.as_str().parse().ok();
                return Ok(number.is_some_and(|number| chosen.contains(&number)));
            }
        }
        Ok(false)
    }
}

impl<'a> Matcher<'a> {
    fn new(key: &str, modules: &'a TargetModules) -> Result<Self, ModelError> {
        Ok(match modules {
            TargetModules::Word(word) => Self::Regex(regex(key, &format!(r"\A(?:{word})\z"))?),
            TargetModules::Names(names) => Self::Names(names),
        })
    }

    fn matches(&self, name: &str, is_head: bool) -> Result<bool, ModelError> {
        match self {
            Self::AllLinear => Ok(!is_head),
            Self::Regex(regex) => regex.is_match(name).map_err(too_hard),
            Self::Names(names) => Ok(names.iter().any(|end| {
                name.strip_suffix(end.as_str())
                    .is_some_and(|start| start.is_empty() || start.ends_with('.'))
            })),
        }
    }
}

/// The value of the first pattern that matches the end of a name.
fn of_name(patterns: &[(Regex, f64)], name: &str) -> Result<Option<f64>, ModelError> {
    for (pattern, value) in patterns {
        if pattern.is_match(name).map_err(too_hard)? {
            return Ok(Some(*value));
        }
    }
    Ok(None)
}

fn patterns(key: &str, entries: &Map<String, Value>) -> Result<Vec<(Regex, f64)>, ModelError> {
    entries
        .iter()
        .map(|(pattern, value)| {
            let value = value.as_f64().ok_or_else(|| {
                wrong(
                    key,
                    format!("`{pattern}` is {value}, which is not a number"),
                )
            })?;
            let regex = regex(key, &format!(r"\A(?:.*\.)?(?:{pattern})\z"))?;
            Ok((regex, value))
        })
        .collect()
}

fn regex(key: &str, pattern: &str) -> Result<Regex, ModelError> {
    Regex::new(pattern).map_err(|error| {
        let reason = error.to_string().replace('\n', " ");
        wrong(
            key,
            format!("{pattern} is not a valid regular expression: {reason}"),
        )
    })
}

fn wrong(key: &str, reason: String) -> ModelError {
    ModelError::Setting {
        path: Path::new(ADAPTER_CONFIG).to_owned(),
        key: key.to_owned(),
        reason,
    }
}

/// The error for a pattern that exceeds the backtracking limit.
fn too_hard(error: fancy_regex::Error) -> ModelError {
    wrong("target_modules", error.to_string())
}
