//! Conversations and TRL's preference rows: where the prompt ends.

use serde_json::Value;

use super::columns::Columns;
use super::field::{Fields, list, optional, required, text};
use crate::error::{Fault, Reason};
use crate::text::{Message, Text};

/// Fields of a message that a chat template would write out but that are not read.
const UNREAD: [&str; 5] = [
    "tool_calls",
    "reasoning_content",
    "reasoning",
    "thinking",
    "images",
];

/// The texts of one preference row.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct PreferenceTexts {
    pub(crate) prompt: Text,
    pub(crate) chosen: Text,
    pub(crate) rejected: Text,
}

/// Reads `{prompt?, chosen, rejected}` as TRL does.
///
/// Without a prompt it is what both sides have in common: for conversations their equal first
/// messages, for plain text the longest common prefix. A plain-text prompt beside conversations is
/// ignored in favour of their common messages, if there are any.
///
/// # Departures
/// - TRL cuts plain text at the first differing character, which can fall inside a word; here the
///   cut moves back to a blank.
/// - Where both sides repeat the messages of the prompt, TRL writes them twice; here once.
pub(crate) fn preference_texts(
    fields: &Fields,
    columns: &Columns,
) -> Result<PreferenceTexts, Fault> {
    let chosen = required(fields, &columns.chosen)?;
    let rejected = required(fields, &columns.rejected)?;
    let prompt = optional(fields, &columns.prompt)
        .map(|prompt| turns_or_text(&columns.prompt, prompt))
        .transpose()?;
    if chosen.is_array() || rejected.is_array() {
        let chosen = messages(&columns.chosen, chosen)?;
        let rejected = messages(&columns.rejected, rejected)?;
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
    prompt: Option<Text>,
    chosen: &str,
    rejected: &str,
    columns: &Columns,
) -> Result<PreferenceTexts, Fault> {
    if let Some(prompt) = prompt {
        return Ok(PreferenceTexts {
            prompt,
            chosen: chosen.into(),
            rejected: rejected.into(),
        });
    }
    let cut = common_prefix(chosen, rejected);
    if cut == chosen.len() && cut == rejected.len() {
        return Err(same_completion(columns));
    }
    Ok(PreferenceTexts {
        prompt: chosen[..cut].into(),
        chosen: chosen[cut..].into(),
        rejected: rejected[cut..].into(),
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
    prompt: Option<Text>,
    mut chosen: Vec<Message>,
    mut rejected: Vec<Message>,
    columns: &Columns,
) -> Result<PreferenceTexts, Fault> {
    if chosen == rejected {
        return Err(same_completion(columns));
    }
    let in_common = chosen
        .iter()
        .zip(&rejected)
        .take_while(|(a, b)| a == b)
        .count();
    let in_prompt = match &prompt {
        Some(Text::Chat(prompt)) if chosen.starts_with(prompt) && rejected.starts_with(prompt) => {
            prompt.len()
        }
        Some(Text::Chat(_)) => 0,
        Some(Text::Plain(_)) | None => in_common,
    };
    let common: Vec<Message> = chosen.drain(..in_prompt).collect();
    rejected.drain(..in_prompt);
    let prompt = match prompt {
        Some(Text::Chat(prompt)) => prompt,
        Some(Text::Plain(text)) if common.is_empty() => vec![Message::new("user", text)],
        Some(Text::Plain(_)) | None => common,
    };
    if prompt.is_empty() {
        return Err(Fault::in_field(
            &columns.prompt,
            Reason::MissingField,
            "there is no prompt, and no first message that both conversations have in common",
        ));
    }
    for (name, completion) in [(&columns.chosen, &chosen), (&columns.rejected, &rejected)] {
        if completion.is_empty() {
            return Err(Fault::in_field(
                name,
                Reason::NoCompletion,
                "the conversation ends where the other side goes on, so that nothing is left to compare",
            ));
        }
    }
    Ok(PreferenceTexts {
        prompt: Text::Chat(prompt),
        chosen: Text::Chat(chosen),
        rejected: Text::Chat(rejected),
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

/// A conversation that ends with the assistant's turn: the messages before it, and the turn.
pub(crate) fn last_turn(name: &str, value: &Value) -> Result<(Text, Text), Fault> {
    let mut prompt = messages(name, value)?;
    let last = prompt.pop().filter(|last| last.role == "assistant");
    match last {
        Some(last) if !prompt.is_empty() => Ok((Text::Chat(prompt), Text::Chat(vec![last]))),
        _ => Err(Fault::in_field(
            name,
            Reason::NoCompletion,
            "a conversation needs a turn that asks and, at its end, the assistant's that answers",
        )),
    }
}

/// Text, or messages in its place.
pub(crate) fn turns_or_text(name: &str, value: &Value) -> Result<Text, Fault> {
    match value {
        Value::Array(_) => messages(name, value).map(Text::Chat),
        _ => text(name, value).map(Text::from),
    }
}

/// A list of messages under the keys of the chat formats, `role` and `content`, or of ShareGPT,
/// `from` and `value`.
fn messages(name: &str, value: &Value) -> Result<Vec<Message>, Fault> {
    let list = list(name, value)?;
    if list.is_empty() {
        return Err(Fault::in_field(
            name,
            Reason::MissingField,
            "a conversation has at least one message",
        ));
    }
    list.iter().map(|value| message(name, value)).collect()
}

fn message(name: &str, message: &Value) -> Result<Message, Fault> {
    let part = |keys: [&str; 2]| {
        let found = keys
            .into_iter()
            .find_map(|key| Some((key, message.get(key)?)));
        match found {
            Some((key, value)) => text(&format!("{name}[].{key}"), value).map(str::to_owned),
            None => Err(Fault::in_field(
                &format!("{name}[].{}", keys[0]),
                Reason::MissingField,
                "a message needs a role and a content",
            )),
        }
    };
    for key in UNREAD {
        let is_empty = |value: &Value| match value {
            Value::Null => true,
            Value::String(text) => text.is_empty(),
            Value::Array(list) => list.is_empty(),
            _ => false,
        };
        if message.get(key).is_some_and(|value| !is_empty(value)) {
            return Err(Fault::in_field(
                &format!("{name}[].{key}"),
                Reason::NotText,
                "of a message only role and content are read: write this into the content, or remove it",
            ));
        }
    }
    Ok(Message {
        role: part(["role", "from"])?,
        content: part(["content", "value"])?,
    })
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
            prompt: prompt.into(),
            chosen: chosen.into(),
            rejected: rejected.into(),
        }
    }

    fn turn(role: &str, content: &str) -> Message {
        Message::new(role, content)
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
        let expected = || {
            Ok(PreferenceTexts {
                prompt: Text::Chat(vec![turn("user", "Sky?")]),
                chosen: Text::Chat(vec![turn("assistant", "blue")]),
                rejected: Text::Chat(vec![turn("assistant", "green")]),
            })
        };
        for row in [
            json!({"prompt": [user], "chosen": [blue], "rejected": [green]}),
            json!({"chosen": [user, blue], "rejected": [user, green]}),
            json!({"prompt": "Sky?", "chosen": [user, blue], "rejected": [user, green]}),
            json!({"prompt": "an id", "chosen": [user, blue], "rejected": [user, green]}),
            json!({"prompt": "Sky?", "chosen": [blue], "rejected": [green]}),
            json!({"prompt": [user], "chosen": [user, blue], "rejected": [user, green]}),
        ] {
            assert_eq!(read(row.clone()), expected(), "{row}");
        }
    }

    #[test]
    fn several_turns_stay_turns_on_both_sides_of_the_cut() {
        let system = json!({"role": "system", "content": "Be brief."});
        let user = json!({"role": "user", "content": "Sky?"});
        let answer = |text: &str| json!({"role": "assistant", "content": text});
        let row = json!({"chosen": [system, user, answer("a"), user, answer("b")],
                         "rejected": [system, user, answer("c")]});
        let texts = read(row).unwrap();
        assert_eq!(
            texts.prompt,
            Text::Chat(vec![turn("system", "Be brief."), turn("user", "Sky?")])
        );
        assert_eq!(
            texts.chosen.flat(),
            "assistant: a\n\nuser: Sky?\n\nassistant: b"
        );
        assert_eq!(texts.rejected, Text::Chat(vec![turn("assistant", "c")]));

        // With a prompt, what both sides then have in common stays a part of both.
        let row = json!({"prompt": [user], "chosen": [answer("a"), user, answer("b")],
                         "rejected": [answer("a"), user, answer("c")]});
        let texts = read(row).unwrap();
        assert_eq!(texts.prompt, Text::Chat(vec![turn("user", "Sky?")]));
        assert_eq!(texts.chosen.into_turns("assistant").len(), 3);
    }

    #[test]
    fn what_is_no_conversation_is_named() {
        let user = json!({"role": "user", "content": "Sky?"});
        let answer = |text: &str| json!({"role": "assistant", "content": text});
        for (row, reason, field) in [
            (
                json!({"chosen": [answer("a")], "rejected": [answer("b")]}),
                Reason::MissingField,
                "prompt",
            ),
            (
                json!({"chosen": [user, answer("a")], "rejected": [user]}),
                Reason::NoCompletion,
                "rejected",
            ),
            (
                json!({"chosen": [], "rejected": [user]}),
                Reason::MissingField,
                "chosen",
            ),
            (
                json!({"prompt": [], "chosen": "a", "rejected": "b"}),
                Reason::MissingField,
                "prompt",
            ),
            (
                json!({"chosen": [user, answer("a")], "rejected": "b"}),
                Reason::NotAList,
                "rejected",
            ),
            (
                json!({"prompt": [{"role": "user"}], "chosen": "a", "rejected": "b"}),
                Reason::MissingField,
                "prompt[].content",
            ),
            (
                json!({"prompt": [{"role": "user", "content": ["a"]}], "chosen": "a", "rejected": "b"}),
                Reason::NotText,
                "prompt[].content",
            ),
            (
                json!({"prompt": [{"role": "user", "content": "a", "tool_calls": [1]}], "chosen": "a", "rejected": "b"}),
                Reason::NotText,
                "prompt[].tool_calls",
            ),
        ] {
            let fault = read(row.clone()).unwrap_err();
            assert_eq!(
                (fault.reason, fault.field.as_deref()),
                (reason, Some(field)),
                "{row}"
            );
        }
    }

    #[test]
    fn the_keys_of_sharegpt_are_read_and_those_of_the_source_passed_over() {
        let value = json!([{"from": "user", "value": "Sky?", "id": 7, "tool_calls": null},
                           {"from": "assistant", "value": "blue"}]);
        let (prompt, answer) = last_turn("conversations", &value).unwrap();
        assert_eq!(prompt, Text::Chat(vec![turn("user", "Sky?")]));
        assert_eq!(answer, Text::Chat(vec![turn("assistant", "blue")]));
        for open in [
            json!([{"role": "user", "content": "Sky?"}]),
            json!([{"role": "assistant", "content": "blue"}]),
        ] {
            assert_eq!(
                last_turn("messages", &open).unwrap_err().reason,
                Reason::NoCompletion
            );
        }
    }

    #[test]
    fn a_pair_of_equals_prefers_nothing() {
        let fault = read(json!({"chosen": "same", "rejected": "same"})).unwrap_err();
        assert_eq!(fault.reason, Reason::NoCompletion);
    }
}
