//! TRL's preference rows, plain or conversational: where the prompt ends.

use serde_json::Value;

use super::columns::Columns;
use super::field::{Fields, list, optional, required, text};
use crate::error::{Fault, Reason};

/// The texts of one preference row.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct PreferenceTexts {
    pub(crate) prompt: String,
    pub(crate) chosen: String,
    pub(crate) rejected: String,
}

/// Reads `{prompt?, chosen, rejected}` as TRL does.
///
/// Without a prompt it is what both sides have in common: for conversations their equal first
/// messages, for plain text the longest common prefix. TRL cuts plain text at the first differing
/// character, which can fall inside a word; here the cut moves back to a blank.
pub(crate) fn preference_texts(
    fields: &Fields,
    columns: &Columns,
) -> Result<PreferenceTexts, Fault> {
    let chosen = required(fields, &columns.chosen)?;
    let rejected = required(fields, &columns.rejected)?;
    let prompt = optional(fields, &columns.prompt);
    if chosen.is_array() || rejected.is_array() {
        conversational(prompt, chosen, rejected, columns)
    } else {
        plain(
            prompt,
            text(&columns.chosen, chosen)?,
            text(&columns.rejected, rejected)?,
            columns,
        )
    }
}

fn plain(
    prompt: Option<&Value>,
    chosen: &str,
    rejected: &str,
    columns: &Columns,
) -> Result<PreferenceTexts, Fault> {
    if let Some(prompt) = prompt {
        return Ok(PreferenceTexts {
            prompt: prompt_text(prompt, columns)?,
            chosen: chosen.to_owned(),
            rejected: rejected.to_owned(),
        });
    }
    let cut = common_prefix(chosen, rejected);
    if cut == chosen.len() && cut == rejected.len() {
        return Err(same_completion(columns));
    }
    Ok(PreferenceTexts {
        prompt: chosen[..cut].to_owned(),
        chosen: chosen[cut..].to_owned(),
        rejected: rejected[cut..].to_owned(),
    })
}

/// The length of the common prefix, moved back to before the last blank in it unless the texts
/// part exactly at a blank.
fn common_prefix(a: &str, b: &str) -> usize {
    let differ = a
        .char_indices()
        .zip(b.chars())
        .find(|((_, x), y)| x != y)
        .map_or(a.len().min(b.len()), |((at, _), _)| at);
    if differ == a.len() && differ == b.len() {
        return differ;
    }
    let parts_at_blank = |text: &str| {
        text[differ..]
            .chars()
            .next()
            .is_none_or(char::is_whitespace)
    };
    if parts_at_blank(a) && parts_at_blank(b) {
        return differ;
    }
    a[..differ].rfind(char::is_whitespace).unwrap_or(0)
}

fn conversational(
    prompt: Option<&Value>,
    chosen: &Value,
    rejected: &Value,
    columns: &Columns,
) -> Result<PreferenceTexts, Fault> {
    let chosen = messages(&columns.chosen, chosen)?;
    let rejected = messages(&columns.rejected, rejected)?;
    let common = chosen
        .iter()
        .zip(&rejected)
        .take_while(|(a, b)| a == b)
        .count();
    if common == chosen.len() && common == rejected.len() {
        return Err(same_completion(columns));
    }
    // Some sets repeat the prompt's messages in front of both sides beside a prompt column.
    let prompt = match prompt {
        Some(prompt) => prompt_text(prompt, columns)?,
        None => flatten(&chosen[..common]),
    };
    let completion = |name: &str, messages: &[Message]| match messages.get(common..) {
        Some([]) | None => Err(Fault::in_field(
            name,
            Reason::NoCompletion,
            "the conversation ends where the other side goes on, so that nothing is left to compare",
        )),
        Some(rest) => Ok(flatten(rest)),
    };
    Ok(PreferenceTexts {
        prompt,
        chosen: completion(&columns.chosen, &chosen)?,
        rejected: completion(&columns.rejected, &rejected)?,
    })
}

fn same_completion(columns: &Columns) -> Fault {
    Fault::in_field(
        &columns.rejected,
        Reason::NoCompletion,
        format!(
            "it equals {:?}, so that the pair prefers nothing",
            columns.chosen
        ),
    )
}

/// A prompt given as text or as messages.
pub(crate) fn prompt_text(prompt: &Value, columns: &Columns) -> Result<String, Fault> {
    match prompt {
        Value::Array(_) => Ok(flatten(&messages(&columns.prompt, prompt)?)),
        _ => text(&columns.prompt, prompt).map(str::to_owned),
    }
}

/// One or several messages given where a text may stand: their contents.
pub(crate) fn response_text(name: &str, value: &Value) -> Result<String, Fault> {
    match value {
        Value::Array(_) => Ok(flatten(&messages(name, value)?)),
        _ => text(name, value).map(str::to_owned),
    }
}

#[derive(Debug, PartialEq, Eq)]
struct Message {
    role: String,
    content: String,
}

fn messages(name: &str, value: &Value) -> Result<Vec<Message>, Fault> {
    let list = list(name, value)?;
    list.iter()
        .map(|message| {
            let part = |key: &str| {
                let inner = format!("{name}[].{key}");
                match message.get(key) {
                    Some(value) => text(&inner, value).map(str::to_owned),
                    None => Err(Fault::in_field(
                        &inner,
                        Reason::MissingField,
                        "a message needs a role and a content",
                    )),
                }
            };
            Ok(Message {
                role: part("role")?,
                content: part("content")?,
            })
        })
        .collect()
}

/// One message is its content; several become one text with the roles in front, because a prompt
/// is one text here and its chat template is applied later.
fn flatten(messages: &[Message]) -> String {
    match messages {
        [message] => message.content.clone(),
        _ => {
            let turns: Vec<String> = messages
                .iter()
                .map(|message| format!("{}: {}", message.role, message.content))
                .collect();
            turns.join("\n\n")
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(row: Value) -> Result<PreferenceTexts, Fault> {
        preference_texts(row.as_object().unwrap(), &Columns::default())
    }

    fn texts(prompt: &str, chosen: &str, rejected: &str) -> PreferenceTexts {
        PreferenceTexts {
            prompt: prompt.to_owned(),
            chosen: chosen.to_owned(),
            rejected: rejected.to_owned(),
        }
    }

    #[test]
    fn trls_example_with_an_implicit_prompt() {
        let row = json!({"chosen": "The sky is blue.", "rejected": "The sky is green."});
        assert_eq!(read(row), Ok(texts("The sky is", " blue.", " green.")));
    }

    #[test]
    fn the_cut_never_falls_inside_a_word() {
        let row = json!({"chosen": "The sky is blue.", "rejected": "The sky is black."});
        assert_eq!(read(row), Ok(texts("The sky is", " blue.", " black.")));
        let row = json!({"chosen": "Über", "rejected": "Übel"});
        assert_eq!(read(row), Ok(texts("", "Über", "Übel")));
    }

    #[test]
    fn conversations_with_and_without_a_prompt() {
        let user = json!({"role": "user", "content": "Sky?"});
        let blue = json!({"role": "assistant", "content": "blue"});
        let green = json!({"role": "assistant", "content": "green"});
        let expected = || Ok(texts("Sky?", "blue", "green"));
        assert_eq!(
            read(json!({"prompt": [user], "chosen": [blue], "rejected": [green]})),
            expected()
        );
        assert_eq!(
            read(json!({"chosen": [user, blue], "rejected": [user, green]})),
            expected()
        );
        let repeated = json!({"prompt": "Sky?", "chosen": [user, blue], "rejected": [user, green]});
        assert_eq!(read(repeated), expected());
    }

    #[test]
    fn several_turns_keep_their_roles() {
        let system = json!({"role": "system", "content": "Be brief."});
        let user = json!({"role": "user", "content": "Sky?"});
        let answer = |text: &str| json!({"role": "assistant", "content": text});
        let row =
            json!({"chosen": [system, user, answer("a")], "rejected": [system, user, answer("b")]});
        assert_eq!(read(row).unwrap().prompt, "system: Be brief.\n\nuser: Sky?");
    }

    #[test]
    fn a_pair_of_equals_prefers_nothing() {
        let fault = read(json!({"chosen": "same", "rejected": "same"})).unwrap_err();
        assert_eq!(fault.reason, Reason::NoCompletion);
    }
}
