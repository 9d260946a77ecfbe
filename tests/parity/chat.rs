//! Tokenizer and chat templates against transformers, and the split of a pair against TRL
//! (`llama.py`, `templates.py`).

use std::path::Path;

use rarebit_models::chat::{ChatTemplate, Message, Text};
use rarebit_models::tokenizer::{TOKENIZER, TOKENIZER_CONFIG, Tokenizer};
use serde::Deserialize;
use serde_json::{Map, Value};

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
    assistant_mask: Vec<u8>,
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
    now: String,
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
    kwargs: Map<String, Value>,
    text: Option<String>,
    error: Option<String>,
}

#[test]
fn other_families_templates_are_rendered_as_jinja_does() {
    let Templates { now, templates } = json("llama/templates.json");
    for TemplateCases {
        name,
        template,
        cases,
    } in templates
    {
        for case in cases {
            let (_folder, _, chat) = with_template(&*template);
            let now = now.parse().expect("a date");
            let chat = chat
                .at(now)
                .and_then(|chat| chat.with_kwargs(case.kwargs))
                .expect("a template told its variables");
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
        if matches!(pair.prompt, Text::Plain(_)) {
            continue;
        }
        for (completion, ids) in [
            (&pair.chosen, &pair.chosen_ids),
            (&pair.rejected, &pair.rejected_ids),
        ] {
            let encoded = template
                .encode(&tokenizer, &pair.prompt, completion)
                .expect("encoded");
            assert_eq!(encoded.prompt, pair.prompt_ids);
            assert_eq!(encoded.completion, [&ids[..], &[2]].concat());
            assert!(!encoded.diverges);
            seen += 1;
        }
    }
    assert_eq!(seen, 6);
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

/// `return_assistant_tokens_mask` of transformers; the end that the conversation lacks is appended.
#[test]
fn the_assistants_tokens_are_those_that_transformers_marks() {
    let (tokenizer, template) = read(&path("llama"));
    let mut marked = 0;
    for case in json::<Chat>("llama/chat.json").chats {
        let found = template
            .encode_conversation(&tokenizer, &case.messages)
            .expect("encoded");
        assert_eq!(found.ids[..case.ids.len()], case.ids);
        let mut mask = vec![0; found.ids.len()];
        for span in found.assistant {
            mask[span].fill(1);
        }
        assert_eq!(mask[..case.ids.len()], case.assistant_mask);
        marked += mask.into_iter().filter(|&marked| marked == 1).count();
    }
    assert!(marked > 30, "{marked} tokens are the assistant's");
}

#[derive(Deserialize)]
struct Continued {
    now: String,
    templates: Vec<ContinuedTemplate>,
}

#[derive(Deserialize)]
struct ContinuedTemplate {
    name: String,
    template: String,
    cases: Vec<ContinuedCase>,
}

#[derive(Deserialize)]
struct ContinuedCase {
    messages: Vec<Message>,
    text: Option<String>,
    ids: Option<Vec<u32>>,
}

/// `continue_final_message` of transformers (`continued.py`), under every template; where it or the
/// template refuses, so is it here.
#[test]
fn an_assistants_turn_at_the_end_of_a_prompt_is_continued_as_transformers_does() {
    let Continued { now, templates } = json("llama/continued.json");
    let mut refused = 0;
    for ContinuedTemplate {
        name,
        template,
        cases,
    } in templates
    {
        let (_folder, tokenizer, chat) = with_template(&*template);
        let chat = chat.at(now.parse().expect("a date")).expect("a template");
        for case in cases {
            let what = format!("{name}: {:?}", case.messages[1].content);
            let rendered = chat.render_prompt(&case.messages);
            let Some(text) = case.text else {
                let error = rendered.expect_err(&what).to_string();
                assert!(error.contains("chat_template"), "{what}: {error}");
                refused += 1;
                continue;
            };
            assert_eq!(rendered.expect(&what), text, "{what}");
            let ids = chat.encode_prompt(&tokenizer, &case.messages);
            assert_eq!(Some(ids.expect(&what)), case.ids, "{what}");
        }
    }
    assert!(refused > 8, "{refused} were refused");
}

const PLAIN: &str = "{{ 'plain' if tools is none }}";

fn hello() -> [Message; 1] {
    [Message::new("user", "Hello")]
}

#[test]
fn of_several_templates_the_default_one_is_taken_unless_another_is_named() {
    let several = serde_json::json!([
        { "name": "tool_use", "template": "tools" },
        { "name": "default", "template": PLAIN },
        { "name": "broken", "template": "{% if %}" },
    ]);
    let (folder, tokenizer, chat) = with_template(several);
    let written = |chat: &ChatTemplate| chat.render(&hello(), false).expect("rendered");
    assert_eq!(written(&chat), "plain");
    assert_eq!(written(&chat.named("tool_use").expect("there")), "tools");

    let read = || ChatTemplate::read(folder.path(), &tokenizer).expect("templates");
    let error = read().named("rag").expect_err("not there").to_string();
    assert!(
        error.contains("rag") && error.contains("tool_use"),
        "{error}"
    );
    assert!(read().named("broken").is_err());

    // Files of their own go before the tokenizer's settings.
    std::fs::create_dir(folder.path().join("additional_chat_templates")).expect("made");
    for (file, text) in [
        ("chat_template.jinja", "from a file"),
        ("additional_chat_templates/rag.jinja", "rag"),
        ("additional_chat_templates/notes.txt", "{% if %}"),
    ] {
        std::fs::write(folder.path().join(file), text).expect("written");
    }
    assert_eq!(written(&read()), "from a file");
    assert_eq!(written(&read().named("rag").expect("there")), "rag");
    assert!(read().named("tool_use").is_err());
}

#[test]
fn without_a_default_a_template_has_to_be_named() {
    let several = serde_json::json!([{ "name": "rag", "template": PLAIN }]);
    let (_folder, tokenizer, chat) = with_template(several);
    assert!(chat.is_conversational());
    let error = chat
        .encode_prompt(&tokenizer, "Hello")
        .expect_err("none is chosen")
        .to_string();
    assert!(error.contains("choose one of `rag`"), "{error}");
    assert_eq!(
        chat.named("rag")
            .expect("there")
            .render(&hello(), false)
            .expect("rendered"),
        "plain"
    );
    for odd in [serde_json::json!(7), serde_json::json!([{ "name": "rag" }])] {
        let settings = serde_json::json!({ "chat_template": odd });
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::write(folder.path().join(TOKENIZER_CONFIG), settings.to_string())
            .expect("written");
        assert!(ChatTemplate::read(folder.path(), &tokenizer).is_err());
    }
}

#[test]
fn variables_stand_before_special_tokens_but_not_for_the_conversation() {
    let (_folder, _, chat) = with_template("{{ eos_token }}{{ more }}{{ messages | length }}");
    let kwargs = |value: Value| value.as_object().expect("an object").clone();
    let chat = chat
        .with_kwargs(kwargs(serde_json::json!({"eos_token": "!", "more": [1]})))
        .expect("taken");
    assert_eq!(chat.render(&hello(), false).expect("rendered"), "![1]1");
    let error = chat
        .with_kwargs(kwargs(serde_json::json!({"messages": []})))
        .expect_err("refused")
        .to_string();
    assert!(error.contains("messages"), "{error}");
}

#[test]
fn only_a_template_that_asks_is_told_the_date() {
    let date = "2026-11-24T01:30:57".parse().expect("a date");
    let (_folder, _, chat) =
        with_template("{{ strftime_now('%d %b %Y') if strftime_now is defined else 'undated' }}");
    assert!(chat.asks_for_date());
    assert_eq!(chat.render(&hello(), false).expect("rendered"), "undated");
    let chat = chat.at(date).expect("dated");
    assert_eq!(
        chat.render(&hello(), false).expect("rendered"),
        "24 Nov 2026"
    );
    assert!(!with_template(PLAIN).2.asks_for_date());
}

/// transformers refuses it, too.
#[test]
fn an_empty_conversation_is_refused() {
    let (_folder, _, chat) = with_template(PLAIN);
    assert!(
        chat.render(&[], true)
            .expect_err("refused")
            .to_string()
            .contains("empty")
    );
}

/// One turn is plain text to a model without a template; more need one.
#[test]
fn without_a_template_several_turns_are_refused() {
    let (_folder, tokenizer, chat) = with_template(Value::Null);
    let one = chat.encode_prompt(&tokenizer, &hello()[..]).expect("ids");
    assert_eq!(one, chat.encode_prompt(&tokenizer, "Hello").expect("ids"));
    let two = [
        Message::new("system", "Be brief."),
        Message::new("user", "Hello"),
    ];
    let error = chat
        .encode(&tokenizer, &two[..], "Hi")
        .expect_err("refused")
        .to_string();
    assert!(error.contains("chat template"), "{error}");
}

/// Special tokens that only the settings call special are recognised in text, as in transformers.
#[test]
fn tokens_that_the_settings_name_are_special() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut tokenizer: Value = json("llama/tokenizer.json");
    let added = tokenizer["added_tokens"].as_array_mut().expect("a list");
    added.retain(|token| token["content"] != "<|eos|>");
    for (file, content) in [
        (TOKENIZER, tokenizer),
        (TOKENIZER_CONFIG, json("llama/tokenizer_config.json")),
    ] {
        std::fs::write(folder.path().join(file), content.to_string()).expect("written");
    }
    let (found, _) = read(folder.path());
    let (whole, _) = read(&path("llama"));
    let text = "The end.<|eos|>";
    assert_eq!(
        found.encode(text, true).expect("ids"),
        whole.encode(text, true).expect("ids")
    );
    assert_eq!(found.decode(&[2]).expect("text"), "");
}
