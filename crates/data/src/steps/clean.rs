//! Step 1: texts that are not a response to the prompt are dropped.

use std::collections::HashSet;

use serde::{Deserialize, Serialize};

use crate::error::DataError;
use crate::group::{Group, Response};
use rarebit_text::Text;

/// Counts the tokens of a prompt and its response after the chat template.
pub type CountTokens<'a> =
    dyn Fn(&Text, &Response) -> Result<usize, Box<dyn std::error::Error + Send + Sync>> + 'a;

/// Which responses are dropped.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CleanOptions {
    /// Drop the comments of moderators and bots.
    pub drop_moderator: bool,
    /// Drop responses of more tokens than this, where a counter is given.
    pub max_tokens: usize,
    /// Keep only the first of exactly repeated texts of a prompt.
    pub dedup: bool,
}

impl Default for CleanOptions {
    /// The paper's: moderators out, at most 2,048 tokens; repeats stay.
    fn default() -> Self {
        Self {
            drop_moderator: true,
            max_tokens: 2048,
            dedup: false,
        }
    }
}

/// Why a response was dropped; the key under which the summary counts it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Dropped {
    /// No text, or only blanks.
    Empty,
    /// A comment that its author or a moderator took away, of which only a placeholder is left.
    Deleted,
    /// A comment by a moderator or a bot.
    Moderator,
    /// Too many tokens.
    TooLong,
    /// The same text as an earlier response to the prompt.
    Repeat,
}

impl Dropped {
    /// The name under which the summary counts it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Empty => "empty",
            Self::Deleted => "deleted",
            Self::Moderator => "moderator",
            Self::TooLong => "too_long",
            Self::Repeat => "repeat",
        }
    }
}

/// Phrases that give away moderators' and bots' comments in WritingPrompts.
const MODERATOR_PHRASES: [&str; 3] = [
    "**Welcome to the Prompt!**",
    "this submission has been removed",
    "**Off-Topic Discussion**",
];

/// What Reddit leaves of a comment that is gone.
const PLACEHOLDERS: [&str; 2] = ["[deleted]", "[removed]"];

/// The title without one leading `[..]` tag: `[WP] A fox` is `A fox`.
pub fn strip_tag(title: &str) -> &str {
    title
        .strip_prefix('[')
        .and_then(|rest| rest.split_once(']'))
        .map_or(title, |(tag, rest)| {
            if tag.contains('\n') {
                title
            } else {
                rest.trim()
            }
        })
}

/// Drops unwanted responses in place and reports each to `dropped`; a given pair that loses a side
/// is dropped as well.
///
/// # Errors
/// When the tokens cannot be counted.
pub fn clean(
    group: &mut Group,
    options: &CleanOptions,
    count_tokens: Option<&CountTokens<'_>>,
    dropped: &mut dyn FnMut(Dropped),
) -> Result<(), DataError> {
    let mut kept: Vec<Response> = Vec::with_capacity(group.responses.len());
    let mut texts = HashSet::new();
    for response in std::mem::take(&mut group.responses) {
        let text = &response.text;
        let too_long = || match count_tokens {
            Some(count) => {
                count(&group.prompt, &response).map(|tokens| tokens > options.max_tokens)
            }
            None => Ok(false),
        };
        let moderator = || MODERATOR_PHRASES.iter().any(|phrase| text.contains(phrase));
        if text.trim().is_empty() {
            dropped(Dropped::Empty);
        } else if PLACEHOLDERS.contains(&text.trim()) {
            dropped(Dropped::Deleted);
        } else if options.drop_moderator && moderator() {
            dropped(Dropped::Moderator);
        } else if options.dedup && texts.contains(text) {
            dropped(Dropped::Repeat);
        } else if too_long().map_err(|source| DataError::CountTokens { source })? {
            dropped(Dropped::TooLong);
        } else {
            if options.dedup {
                texts.insert(text.clone());
            }
            kept.push(response);
        }
    }
    group.responses = kept;
    if let Some(pairs) = &mut group.pairs {
        let ids: HashSet<u32> = group.responses.iter().map(|response| response.id).collect();
        pairs.retain(|pair| ids.contains(&pair.chosen) && ids.contains(&pair.rejected));
    }
    Ok(())
}

/// How many responses repeat the exact text of an earlier one.
pub(crate) fn repeats<'a>(responses: impl IntoIterator<Item = &'a Response>) -> u64 {
    let mut texts = HashSet::new();
    responses
        .into_iter()
        .filter(|response| !texts.insert(&response.text))
        .count() as u64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::group::Pair;

    fn group(texts: &[&str]) -> Group {
        let responses = (0..)
            .zip(texts)
            .map(|(id, text)| Response::new(id, (*text).into(), Some(1.0)))
            .collect();
        Group {
            id: "g:1".to_owned(),
            prompt: "p".into(),
            responses,
            pairs: None,
        }
    }

    #[test]
    fn one_leading_tag_goes() {
        assert_eq!(strip_tag("[WP] A fox"), "A fox");
        assert_eq!(strip_tag("[EU][WP] A fox"), "[WP] A fox");
        assert_eq!(strip_tag("A [WP] fox"), "A [WP] fox");
        assert_eq!(strip_tag("[unclosed"), "[unclosed");
    }

    #[test]
    fn each_reason_is_counted_once() {
        let mut group = group(&[
            "tale",
            "**Off-Topic Discussion** here",
            "  ",
            "tale",
            "a very long tale",
            "[deleted]",
            " [removed]\n",
            "[removed] scene",
        ]);
        let mut counts = Vec::new();
        let options = CleanOptions {
            max_tokens: 3,
            dedup: true,
            ..CleanOptions::default()
        };
        let words = |_: &Text, response: &Response| Ok(response.text.split(' ').count());
        clean(&mut group, &options, Some(&words), &mut |reason| {
            counts.push(reason)
        })
        .unwrap();
        assert_eq!(
            counts,
            [
                Dropped::Moderator,
                Dropped::Empty,
                Dropped::Repeat,
                Dropped::TooLong,
                Dropped::Deleted,
                Dropped::Deleted
            ]
        );
        assert_eq!(group.responses.len(), 2);
    }

    #[test]
    fn repeats_stay_unless_asked_for() {
        let mut group = group(&["tale", "tale"]);
        clean(&mut group, &CleanOptions::default(), None, &mut |_| ()).unwrap();
        assert_eq!((group.responses.len(), repeats(&group.responses)), (2, 1));
    }

    #[test]
    fn a_given_pair_goes_with_its_side() {
        let mut group = group(&["tale", ""]);
        group.pairs = Some(vec![Pair {
            chosen: 0,
            rejected: 1,
        }]);
        clean(&mut group, &CleanOptions::default(), None, &mut |_| ()).unwrap();
        assert_eq!(group.pairs, Some(vec![]));
    }
}
