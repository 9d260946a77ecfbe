//! Which column of a file holds what.

use rarebit_data::Columns;
use serde::{Deserialize, Serialize};
use toml::Table;

use super::is_off;
use crate::error::Result;

macro_rules! columns {
    ($($(#[$doc:meta])* $setting:ident: $column:ident,)*) => {
        /// Which column of a file holds what. The defaults are the names of the public formats.
        #[derive(clap::Args, Clone, Debug, PartialEq, Serialize, Deserialize)]
        #[serde(default, deny_unknown_fields)]
        #[command(next_help_heading = "Columns")]
        pub struct ColumnSettings {
            $(
                $(#[$doc])*
                #[arg(long, value_name = "NAME", default_value_t = Columns::default().$column)]
                pub $setting: String,
            )*
            /// Scores are ranks or losses: the lowest is the best. They are negated when read
            #[arg(long, num_args = 0..=1, default_value = "false", default_missing_value = "true", action = clap::ArgAction::Set)]
            #[serde(skip_serializing_if = "is_off")]
            pub lower_is_better: bool,
        }

        impl Default for ColumnSettings {
            fn default() -> Self {
                let columns = Columns::default();
                Self { $($setting: columns.$column,)* lower_is_better: false }
            }
        }

        impl ColumnSettings {
            fn columns(&self) -> Columns {
                Columns { $($column: self.$setting.clone(),)* }
            }
        }
    };
}

columns! {
    /// The prompt: text, or a list of messages
    prompt_column: prompt,
    /// An id of the prompt, where the source has one
    prompt_id_column: prompt_id,
    /// The system prompt, where it has a column of its own; an empty name reads none
    system_column: system,
    /// One response per row
    response_column: response,
    /// One response per row, as TRL calls it
    completion_column: completion,
    /// The conversation in rows of messages
    messages_column: messages,
    /// The list of responses in grouped rows
    responses_column: responses,
    /// The list of their scores, where the responses are plain texts
    scores_column: scores,
    /// The score of a response
    score_column: score,
    /// The preferred response in preference rows
    chosen_column: chosen,
    /// The other response in preference rows
    rejected_column: rejected,
    /// The score of the preferred response
    score_chosen_column: score_chosen,
    /// The score of the other response
    score_rejected_column: score_rejected,
    /// A weight that the source already has
    weight_column: weight,
    /// Whether a completion is desirable, in rows for KTO
    label_column: label,
    /// The title of a post
    title_column: title,
    /// The text of a post
    text_column: text,
    /// The list of comments under a post
    comments_column: comments,
    /// The list of their votes
    comment_scores_column: comment_scores,
    /// The list of generated texts
    generations_column: generations,
    /// The list of their scores
    generation_scores_column: generation_scores,
}

impl ColumnSettings {
    /// How a file with these columns is read.
    pub fn options(&self) -> rarebit_data::SourceOptions {
        rarebit_data::SourceOptions {
            columns: self.columns(),
            lower_is_better: self.lower_is_better,
            ..Default::default()
        }
    }

    /// Those that differ from the defaults.
    pub(crate) fn changed(&self) -> Result<Table> {
        let defaults = Table::try_from(Self::default())?;
        let all = Table::try_from(self)?.into_iter();
        Ok(all
            .filter(|(key, value)| defaults.get(key) != Some(value))
            .collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_changes_are_written_down() {
        let settings = ColumnSettings {
            prompt_column: "instruction".to_owned(),
            lower_is_better: true,
            ..ColumnSettings::default()
        };
        let changed = settings.changed().unwrap();
        assert_eq!(changed.len(), 2);
        let read: ColumnSettings = toml::Value::Table(changed).try_into().unwrap();
        assert_eq!(read, settings);
        assert_eq!(read.options().columns.prompt, "instruction");
        assert!(ColumnSettings::default().changed().unwrap().is_empty());
    }
}
