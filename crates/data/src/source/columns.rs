//! Which column holds what.

use serde::{Deserialize, Serialize};

macro_rules! columns {
    ($($(#[$doc:meta])* $field:ident = $default:literal,)*) => {
        /// Which column holds what. The defaults are the names that the public formats use.
        #[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(default, deny_unknown_fields)]
        pub struct Columns {
            $($(#[$doc])* pub $field: String,)*
        }

        impl Default for Columns {
            fn default() -> Self {
                Self { $($field: $default.to_owned(),)* }
            }
        }

        impl Columns {
            /// Each column that a row has, with what it is taken for.
            pub(crate) fn taken(&self, has: impl Fn(&str) -> bool) -> Vec<(&'static str, &str)> {
                let all = [$((stringify!($field), self.$field.as_str())),*];
                all.into_iter().filter(|(_, name)| has(name)).collect()
            }

            /// The columns that were named by the caller, so that must be there.
            pub(crate) fn renamed(&self) -> Vec<&str> {
                let mut renamed = Vec::new();
                $(if self.$field != $default { renamed.push(self.$field.as_str()); })*
                renamed
            }
        }
    };
}

columns! {
    /// The prompt, as text or as a list of messages.
    prompt = "prompt",
    /// An identity of the prompt, where the source has one.
    prompt_id = "prompt_id",
    /// One response (flat rows), or the text inside an entry of `responses`.
    response = "response",
    /// One response under TRL's name for it (prompt-completion rows).
    completion = "completion",
    /// The system prompt, where it stands in a column of its own; nothing where the name is empty.
    system = "system",
    /// A whole conversation, which ends with the assistant's turn (TRL's language modelling rows).
    messages = "messages",
    /// The list of responses (grouped rows).
    responses = "responses",
    /// The list of scores of `responses`, where these are plain texts.
    scores = "scores",
    /// The score of a response.
    score = "score",
    /// The preferred response (preference rows).
    chosen = "chosen",
    /// The other response (preference rows).
    rejected = "rejected",
    /// The score of the preferred response.
    score_chosen = "score_chosen",
    /// The score of the other response.
    score_rejected = "score_rejected",
    /// A weight that the source already carries (preference and flat rows).
    weight = "weight",
    /// Whether a completion is desirable (TRL's rows for KTO).
    label = "label",
    /// The title of a post (WritingPrompts rows).
    title = "post_title",
    /// The text of a post (WritingPrompts rows).
    text = "post_text",
    /// The comments under a post (WritingPrompts rows).
    comments = "comment_texts",
    /// Their votes, in the same order.
    comment_scores = "comment_scores",
    /// The list of generated texts (NoveltyBench rows).
    generations = "generations",
    /// Their scores, in the same order.
    generation_scores = "generation_scores",
}
