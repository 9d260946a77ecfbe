//! Tokenizer and chat templates against transformers, and the split of a pair against TRL
//! (`llama.py`, `templates.py`).

use std::path::Path;

use rarebit_models::chat::{ChatTemplate, Encoded, Message};
use rarebit_models::tokenizer::{TOKENIZER, TOKENIZER_CONFIG, Tokenizer};
use serde::Deserialize;
use serde_json::Value;

use super::fixture::{json, path};

const VOCAB: usize = 300;

#[derive(Deserialize)]
struct Chat {
    encode: Vec<EncodeCase>,
    chats: Vec<ChatCase>,
    pairs: Vec<PairCase>,
}

#[derive(Deserialize)]
struct EncodeCase {
    text: String,
    ids: Vec<u32>,
    ids_without_special: Vec<u32>,
    decoded_without_special: String,
}

#[derive(Deserialize)]
struct ChatCase {
    messages: Vec<Message>,
    text: String,
    ids: Vec<u32>,
    text_generation: String,
    ids_generation: Vec<u32>,
}

#[derive(Deserialize)]
struct PairCase {
    prompt: Text,
    chosen: Text,
    rejected: Text,
    prompt_alone_ids: Vec<u32>,
    prompt_ids: Vec<u32>,
    chosen_ids: Vec<u32>,
    rejected_ids: Vec<u32>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Text {
    Plain(String),
    Chat(Vec<Message>),
}

impl Text {
    /// The text, or that of the only message.
    fn single(&self) -> Option<&str> {
        match self {
            Text::Plain(text) => Some(text),
            Text::Chat(messages) => match &messages[..] {
                [message] => Some(&message.content),
                _ => None,
            },
        }
    }
}

/// The tokenizer and template of a folder.
fn read(folder: &Path) -> (Tokenizer, ChatTemplate) {
    let tokenizer = Tokenizer::read(folder, VOCAB).expect("a tokenizer");
    let template = ChatTemplate::read(folder, &tokenizer).expect("a template that parses");
    (tokenizer, template)
}

/// The fixture's tokenizer beside another chat template, or none.
fn with_template(template: impl Into<Value>) -> (tempfile::TempDir, Tokenizer, ChatTemplate) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    std::fs::copy(path("llama").join(TOKENIZER), folder.path().join(TOKENIZER))
        .expect("tokenizer.json");
    let mut settings: Value = json("llama/tokenizer_config.json");
    settings["chat_template"] = template.into();
    std::fs::write(folder.path().join(TOKENIZER_CONFIG), settings.to_string())
        .expect("tokenizer_config.json");
    let (tokenizer, chat) = read(folder.path());
    (folder, tokenizer, chat)
}

#[test]
fn text_becomes_the_same_ids_and_comes_back() {
    let (tokenizer, _) = read(&path("llama"));
    for case in json::<Chat>("llama/chat.json").encode {
        assert_eq!(
            tokenizer.encode(&case.text, true).expect("ids"),
            case.ids,
            "{:?}",
            case.text
        );
        assert_eq!(
            tokenizer.encode(&case.text, false).expect("ids"),
            case.ids_without_special,
            "{:?}",
            case.text
        );
        assert_eq!(
            tokenizer.decode(&case.ids).expect("text"),
            case.decoded_without_special,
            "{:?}",
            case.text
        );
    }
}

#[test]
fn the_folders_special_tokens_are_found() {
    let (tokenizer, template) = read(&path("llama"));
    assert_eq!(
        (tokenizer.bos, &tokenizer.eos[..], tokenizer.pad),
        (Some(1), &[2][..], 0)
    );
    assert!(template.is_conversational());
}

#[test]
fn chats_are_written_and_tokenised_as_transformers_does() {
    let (tokenizer, template) = read(&path("llama"));
    for case in json::<Chat>("llama/chat.json").chats {
        for (generation, text, ids) in [
            (false, &case.text, &case.ids),
            (true, &case.text_generation, &case.ids_generation),
        ] {
            let rendered = template
                .render(&case.messages, generation)
                .expect("rendered");
            assert_eq!(&rendered, text);
            assert_eq!(&tokenizer.encode(&rendered, false).expect("ids"), ids);
        }
    }
}

#[derive(Deserialize)]
struct Templates {
    templates: Vec<TemplateCases>,
}

#[derive(Deserialize)]
struct TemplateCases {
    name: String,
    template: String,
    cases: Vec<TemplateCase>,
}

#[derive(Deserialize)]
struct TemplateCase {
    messages: Vec<Message>,
    add_generation_prompt: bool,
    text: Option<String>,
    error: Option<String>,
}

#[test]
fn other_families_templates_are_rendered_as_jinja_does() {
    for TemplateCases {
        name,
        template,
        cases,
    } in json::<Templates>("llama/templates.json").templates
    {
        let (_folder, _, chat) = with_template(template);
        for case in cases {
            let rendered = chat.render(&case.messages, case.add_generation_prompt);
            match (case.text, case.error) {
                (Some(text), _) => assert_eq!(rendered.expect("rendered"), text, "{name}"),
                (_, Some(refusal)) => {
                    let error = rendered.expect_err("the template refuses").to_string();
                    assert!(error.contains(&refusal), "{name}: {error}");
                }
                _ => panic!("{name}: a case has a text or an error"),
            }
        }
    }
}

/// Plain text is split as TRL splits it wherever the tokens of the prompt are those of the prompt
/// alone.
///
/// Where the last token of the prompt would merge with the first of the completion, TRL tokenises
/// both together and moves the split; rarebit does not. Its prompt is always the prompt alone, because
/// that is what the model reads when it is asked to write: what training sees and what sampling
/// sees are the same tokens.
#[test]
fn plain_pairs_are_split_as_trl_does_except_across_a_merge() {
    let (_folder, tokenizer, template) = with_template(Value::Null);
    let mut merges = 0;
    for pair in json::<Chat>("llama/chat.json").pairs {
        let (Text::Plain(prompt), Text::Plain(chosen), Text::Plain(rejected)) =
            (&pair.prompt, &pair.chosen, &pair.rejected)
        else {
            continue;
        };
        for (completion, ids) in [(chosen, &pair.chosen_ids), (rejected, &pair.rejected_ids)] {
            let encoded = template
                .encode(&tokenizer, prompt, completion)
                .expect("encoded");
            assert_eq!(encoded.prompt, pair.prompt_alone_ids, "{prompt:?}");
            assert_eq!(
                encoded.prompt,
                template.encode_prompt(&tokenizer, prompt).expect("ids")
            );
            if pair.prompt_ids == pair.prompt_alone_ids {
                assert_eq!(&encoded.completion, ids, "{completion:?}");
            } else {
                assert_eq!(
                    encoded.completion,
                    tokenizer.encode(completion, false).expect("ids"),
                    "{completion:?}"
                );
                merges += 1;
            }
            // The end of the text is appended once, whether or not the text brings it.
            let bare = completion.trim_end_matches("<|eos|>");
            assert_eq!(
                template.encode(&tokenizer, prompt, bare).expect("encoded"),
                encoded
            );
        }
    }
    assert_eq!(merges, 4, "both sides of two pairs merge");
}

/// With a template the split is TRL's. What follows differs on purpose: this template never writes
/// the token at which sampling stops, so rarebit appends it; TRL's model would not learn to stop.
#[test]
fn chat_pairs_are_split_as_trl_does() {
    let (tokenizer, template) = read(&path("llama"));
    let mut seen = 0;
    for pair in json::<Chat>("llama/chat.json").pairs {
        let (Text::Chat(_), Some(prompt)) = (&pair.prompt, pair.prompt.single()) else {
            continue;
        };
        for (completion, ids) in [
            (&pair.chosen, &pair.chosen_ids),
            (&pair.rejected, &pair.rejected_ids),
        ] {
            let completion = completion.single().expect("one message");
            let Encoded {
                prompt: found,
                completion,
            } = template
                .encode(&tokenizer, prompt, completion)
                .expect("encoded");
            assert_eq!(found, pair.prompt_ids);
            assert_eq!(completion, [&ids[..], &[2]].concat());
            seen += 1;
        }
    }
    assert_eq!(seen, 4);
}

/// What a template writes after the end of a turn is never generated, so it is not learned.
#[test]
fn a_completion_ends_with_the_end_of_its_turn() {
    let template = "{% for m in messages %}{{ m.role }}: {{ m.content }}{{ eos_token }}\n{% endfor %}\
                    {% if add_generation_prompt %}assistant: {% endif %}";
    let (_folder, tokenizer, chat) = with_template(template);
    let encoded = chat
        .encode(&tokenizer, "Tell!", "The fox.")
        .expect("encoded");
    assert_eq!(
        encoded.completion,
        [tokenizer.encode("The fox.", false).expect("ids"), vec![2]].concat()
    );
}

#[test]
fn of_several_templates_the_default_one_is_taken() {
    let several = serde_json::json!([
        { "name": "tool_use", "template": "tools" },
        { "name": "default", "template": "{{ 'plain' if tools is none }}" },
    ]);
    let (_folder, _, chat) = with_template(several);
    assert_eq!(chat.render(&[], false).expect("rendered"), "plain");
}
