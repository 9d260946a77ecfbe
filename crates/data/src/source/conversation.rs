//! Conversations and TRL's preference rows: where the prompt ends.

use std::borrow::Cow;

use serde_json::Value;

use super::columns::Columns;
use super::field::{Fields, list, optional, parsed, required, text};
use crate::error::{Fault, Reason};
use rarebit_text::{Message, Text};

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
    // LLaMA-Factory has the turns before the two sides in `conversations`.
    let prompt = [columns.prompt.as_str(), conversations(fields, columns)]
        .into_iter()
        .find_map(|name| Some((name, optional(fields, name)?)));
    let prompt = prompt
        .map(|(name, prompt)| turns_or_text(name, prompt))
        .transpose()?;
    let texts = if as_messages(chosen).is_some() || as_messages(rejected).is_some() {
        let chosen = messages(&columns.chosen, chosen)?;
        let rejected = messages(&columns.rejected, rejected)?;
        conversational(prompt, chosen, rejected, columns)?
    } else {
        plain(
            prompt,
            text(&columns.chosen, chosen)?,
            text(&columns.rejected, rejected)?,
        )
    };
    let prompt = with_system(texts.prompt, fields, columns)?;
    let beside = |completion: Text| match prompt.is_chat() {
        true => Text::Chat(completion.into_turns("assistant")),
        false => completion,
    };
    Ok(PreferenceTexts {
        chosen: beside(texts.chosen),
        rejected: beside(texts.rejected),
        prompt,
    })
}

/// The prompt of a row, behind its system prompt.
pub(crate) fn prompt(fields: &Fields, columns: &Columns) -> Result<Text, Fault> {
    let name = &columns.prompt;
    let prompt = turns_or_text(name, required(fields, name)?)?;
    with_system(prompt, fields, columns)
}

/// The column of conversations: as named, or under ShareGPT's name for it.
pub(crate) fn conversations<'a>(fields: &Fields, columns: &'a Columns) -> &'a str {
    const SHAREGPT: &str = "conversations";
    match fields.contains_key(&columns.messages) || !fields.contains_key(SHAREGPT) {
        true => &columns.messages,
        false => SHAREGPT,
    }
}

/// The prompt behind the system prompt that a row has in a column of its own.
pub(crate) fn with_system(prompt: Text, fields: &Fields, columns: &Columns) -> Result<Text, Fault> {
    // A column of this name may hold something else, such as the number of a system.
    let system = fields.get(&columns.system).and_then(Value::as_str);
    let Some(system) = system.filter(|system| !system.trim().is_empty()) else {
        return Ok(prompt);
    };
    let mut turns = prompt.into_turns("user");
    match turns.first().filter(|first| first.role == "system") {
        Some(first) if first.content == system => {}
        Some(_) => {
            return Err(Fault::in_field(
                &columns.system,
                Reason::NotText,
                "the conversation begins with another system prompt; keep one of them, or give \
                 --system-column another name",
            ));
        }
        None => turns.insert(0, Message::new("system", system)),
    }
    Ok(Text::Chat(turns))
}

fn plain(prompt: Option<Text>, chosen: &str, rejected: &str) -> PreferenceTexts {
    let cut = match prompt {
        Some(_) => 0,
        None => common_prefix(chosen, rejected),
    };
    PreferenceTexts {
        prompt: prompt.unwrap_or_else(|| chosen[..cut].into()),
        chosen: chosen[cut..].into(),
        rejected: rejected[cut..].into(),
    }
}

/// The length of the common prefix, moved back to before the last blank in it unless the texts
/// differ from a blank on. Of equal texts the last word stays.
fn common_prefix(a: &str, b: &str) -> usize {
    let differ = a
        .char_indices()
        .zip(b.chars())
        .find(|((_, x), y)| x != y)
        .map_or(a.len().min(b.len()), |((at, _), _)| at);
    let parts_at_blank = |text: &str| {
        text[differ..]
            .chars()
            .next()
            .is_none_or(char::is_whitespace)
    };
    if a != b && parts_at_blank(a) && parts_at_blank(b) {
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
    let in_common = chosen
        .iter()
        .zip(&rejected)
        .take_while(|(a, b)| a == b)
        .count();
    // Of equal conversations the last turn stays.
    let in_common = match chosen == rejected {
        true => in_common.saturating_sub(1),
        false => in_common,
    };
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

/// A conversation that ends with the assistant's turn: the messages before it, and the turn.
pub(crate) fn last_turn(name: &str, value: &Value) -> Result<(Text, Text), Fault> {
    let mut prompt = messages(name, value)?;
    let last = prompt.pop();
    let problem = match last {
        Some(last) if last.role == "assistant" && !prompt.is_empty() => {
            return Ok((Text::Chat(prompt), Text::Chat(vec![last])));
        }
        Some(last) if last.role != "assistant" => {
            format!("it ends with a turn of {:?}", last.role)
        }
        _ => "it has no turn before the answer".to_owned(),
    };
    Err(Fault::in_field(
        name,
        Reason::NoCompletion,
        format!("a conversation needs a prompt and, at its end, the assistant's answer; {problem}"),
    ))
}

/// Text, or messages in its place.
pub(crate) fn turns_or_text(name: &str, value: &Value) -> Result<Text, Fault> {
    if as_messages(value).is_some() {
        return messages(name, value).map(Text::Chat);
    }
    let text = text(name, value)?;
    if is_python(text) {
        return Err(Fault::in_field(
            name,
            Reason::NotText,
            "these are messages as Python prints them; write them as JSON, with json.dumps",
        ));
    }
    Ok(text.into())
}

/// The messages that a value is: a list, a single message, or the JSON text of either.
fn as_messages(value: &Value) -> Option<Cow<'_, [Value]>> {
    match value {
        Value::Array(list) => Some(Cow::Borrowed(list)),
        Value::Object(_) => is_message(value).then(|| Cow::Borrowed(std::slice::from_ref(value))),
        Value::String(_) => match parsed(value)? {
            Value::Array(list) if !list.is_empty() && list.iter().all(is_message) => {
                Some(Cow::Owned(list))
            }
            message if is_message(&message) => Some(Cow::Owned(vec![message])),
            _ => None,
        },
        _ => None,
    }
}

/// The keys of the chat formats, and ShareGPT's.
const ROLE: [&str; 2] = ["role", "from"];
const CONTENT: [&str; 2] = ["content", "value"];

fn is_message(value: &Value) -> bool {
    let has = |keys: [&str; 2]| keys.into_iter().any(|key| value.get(key).is_some());
    has(ROLE) && has(CONTENT)
}

/// Whether a text is a list of messages as Python prints it, which pandas writes into CSV.
fn is_python(text: &str) -> bool {
    let first = text.trim_start().trim_start_matches('[');
    let starts = |key: &str| first.starts_with(&format!("{{'{key}': "));
    let holds = |key: &str| text.contains(&format!(", '{key}': "));
    (ROLE.iter().any(|key| starts(key)) && CONTENT.iter().any(|key| holds(key)))
        || (CONTENT.iter().any(|key| starts(key)) && ROLE.iter().any(|key| holds(key)))
}

/// Messages under the keys of the chat formats, `role` and `content`, or of ShareGPT, `from` and
/// `value`.
fn messages(name: &str, value: &Value) -> Result<Vec<Message>, Fault> {
    let list = match as_messages(value) {
        Some(messages) => messages,
        None => list(name, value)?,
    };
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
    // Lists whose records have unlike keys are stored as JSON texts.
    let parsed = parsed(message);
    let message = parsed.as_ref().unwrap_or(message);
    let part = |keys: [&str; 2]| {
        let found = keys
            .into_iter()
            .find_map(|key| Some((format!("{name}[].{key}"), message.get(key)?)));
        found.ok_or_else(|| {
            Fault::in_field(
                &format!("{name}[].{}", keys[0]),
                Reason::MissingField,
                "a message needs a role and a content",
            )
        })
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
                "of a message only role, content and name are read: write this into the content, or \
                 remove it",
            ));
        }
    }
    let (role_key, role) = part(ROLE)?;
    let (content_key, content) = part(CONTENT)?;
    let speaker = message.get("name").and_then(Value::as_str);
    Ok(Message {
        role: self::role(&role_key, text(&role_key, role)?)?,
        content: content_text(&content_key, content)?,
        name: speaker.map(str::to_owned),
    })
}

/// The content of a message: text, nothing, or a list of parts that are texts.
fn content_text(name: &str, content: &Value) -> Result<String, Fault> {
    let part = |part: &Value| -> Option<String> {
        let is_text = part.get("type")?.as_str()? == "text";
        is_text.then(|| part.get("text")?.as_str().map(str::to_owned))?
    };
    match content {
        Value::Null => Ok(String::new()),
        Value::Array(parts) => match parts.iter().map(part).collect::<Option<Vec<_>>>() {
            Some(texts) => Ok(texts.concat()),
            None => text(name, content).map(str::to_owned),
        },
        _ => text(name, content).map(str::to_owned),
    }
}

/// A role under the name that chat templates have for it.
fn role(name: &str, role: &str) -> Result<String, Fault> {
    const KNOWN: [&str; 9] = [
        "system",
        "developer",
        "user",
        "assistant",
        "tool",
        "function",
        "function_call",
        "observation",
        "ipython",
    ];
    let lower = role.trim().to_lowercase();
    match &*lower {
        "human" => Ok("user".to_owned()),
        "gpt" | "model" | "bot" => Ok("assistant".to_owned()),
        known if KNOWN.contains(&known) => Ok(lower),
        _ => Err(Fault::in_field(
            name,
            Reason::NotText,
            format!(
                "the role {role:?} is unknown; roles are {}, and human, gpt, model and bot stand for \
                 user and assistant",
                KNOWN.join(", ")
            ),
        )),
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
    fn a_pair_of_equals_is_read_so_that_it_can_be_counted() {
        let same = read(json!({"chosen": "the same", "rejected": "the same"})).unwrap();
        assert_eq!(same, texts("the", " same", " same"));
        let turns =
            json!([{"role": "user", "content": "Sky?"}, {"role": "assistant", "content": "blue"}]);
        let same = read(json!({"chosen": turns, "rejected": turns})).unwrap();
        assert_eq!(same.prompt, Text::Chat(vec![turn("user", "Sky?")]));
        assert_eq!(same.chosen, Text::Chat(vec![turn("assistant", "blue")]));
        assert_eq!(same.chosen, same.rejected);
    }

    #[test]
    fn the_roles_of_other_formats_are_known_and_an_unknown_one_is_named() {
        for (role, expected) in [
            ("human", "user"),
            ("GPT", "assistant"),
            ("Model", "assistant"),
            ("System", "system"),
        ] {
            assert_eq!(self::role("x", role).unwrap(), expected);
        }
        let row = json!({"prompt": [{"role": "narrator", "content": "a"}], "chosen": "a", "rejected": "b"});
        let fault = read(row).unwrap_err();
        assert_eq!(fault.field.as_deref(), Some("prompt[].role"));
        assert!(fault.problem.contains("\"narrator\""), "{}", fault.problem);
        let open = json!([{"from": "gpt", "value": "a"}, {"from": "human", "value": "b"}]);
        let fault = last_turn("conversations", &open).unwrap_err();
        assert!(fault.problem.contains("\"user\""), "{}", fault.problem);
    }

    #[test]
    fn one_message_json_text_and_parts_are_messages() {
        let expected = Text::Chat(vec![turn("user", "Sky?")]);
        for value in [
            json!({"from": "human", "value": "Sky?"}),
            json!("[{\"role\": \"user\", \"content\": \"Sky?\"}]"),
            json!("{\"role\": \"user\", \"content\": \"Sky?\"}"),
            json!(["{\"role\": \"user\", \"content\": \"Sky?\"}"]),
            json!([{"role": "user", "content": [{"type": "text", "text": "Sky?"}]}]),
        ] {
            assert_eq!(
                turns_or_text("prompt", &value).unwrap(),
                expected,
                "{value}"
            );
        }
        for text in ["[1, 2]", "[WP] A fox", "{a", "[]", "{\"role\": 1}"] {
            assert_eq!(
                turns_or_text("prompt", &json!(text)).unwrap(),
                Text::from(text)
            );
        }
        let fault =
            turns_or_text("prompt", &json!("[{'role': 'user', 'content': 'a'}]")).unwrap_err();
        assert!(fault.problem.contains("json.dumps"));
    }

    #[test]
    fn a_null_content_is_empty_and_a_name_is_kept() {
        let value = json!([{"role": "system", "content": null}, {"role": "user", "content": "a", "name": "Ann"}]);
        let Text::Chat(turns) = turns_or_text("prompt", &value).unwrap() else {
            panic!("not a conversation");
        };
        assert_eq!(turns[0], turn("system", ""));
        assert_eq!(turns[1].name.as_deref(), Some("Ann"));
    }

    #[test]
    fn a_system_column_stands_before_the_prompt() {
        let row =
            json!({"system": "Rhyme.", "prompt": "Sky?", "chosen": "blue", "rejected": "green"});
        let found = read(row).unwrap();
        assert_eq!(
            found.prompt,
            Text::Chat(vec![turn("system", "Rhyme."), turn("user", "Sky?")])
        );
        assert_eq!(found.chosen, Text::Chat(vec![turn("assistant", "blue")]));
        let row = json!({"system": "", "prompt": "Sky?", "chosen": "blue", "rejected": "green"});
        assert_eq!(read(row), Ok(texts("Sky?", "blue", "green")));
        let other = json!({"system": "Rhyme.", "prompt": [{"role": "system", "content": "Sing."}, {"role": "user", "content": "a"}], "chosen": "b", "rejected": "c"});
        assert_eq!(read(other).unwrap_err().field.as_deref(), Some("system"));
    }
}
