//! Verbalized sampling: a model writes several responses with their probabilities in one answer.
//!
//! "Verbalized Sampling: How to Mitigate Mode Collapse and Unlock LLM Diversity" (Zhang et al.,
//! arXiv 2510.01171). The request has the paper's tags in other words.

use serde_json::Value;

/// One of several responses in an answer.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Verbalized {
    pub(super) text: String,
    /// What the model says it is, where it says so; from 0 to 1.
    pub(super) probability: Option<f64>,
}

/// What is asked for behind the prompt.
pub(super) fn request(responses: usize, below: Option<f64>) -> String {
    let which = match below {
        None => "drawn at random from all that you could give".to_owned(),
        Some(limit) => format!(
            "drawn at random from the improbable ones among all that you could give: each with a probability below {limit}"
        ),
    };
    format!(
        "Give {responses} different responses to the request above, {which}. Put each between <response> and </response>. \
         Inside, put the whole response between <text> and </text>, and how probable it is, as a number from 0 to 1, \
         between <probability> and </probability>. Write nothing else."
    )
}

/// The responses in an answer, in its order: in tags, or in JSON, as many models prefer. What a
/// cut-off answer has not finished is left out. Empty when nothing can be made of it.
pub(super) fn parse(answer: &str) -> Vec<Verbalized> {
    for tag in ["response", "text"] {
        let found: Vec<Verbalized> = blocks(answer, tag).filter_map(of_block).collect();
        if !found.is_empty() {
            return found;
        }
    }
    json_items(answer)
}

/// What stands between `<tag ..>` and its end, and whether it has one.
struct Block<'a> {
    tag: &'static str,
    inside: &'a str,
    is_closed: bool,
    /// Up to the next block.
    after: &'a str,
}

/// All elements of a name; one without an end goes up to the next.
fn blocks<'a>(text: &'a str, tag: &'static str) -> impl Iterator<Item = Block<'a>> {
    let mut rest = text;
    std::iter::from_fn(move || {
        let (_, begin) = find_tag(rest, &format!("<{tag}"))?;
        rest = &rest[begin..];
        let next = find_tag(rest, &format!("<{tag}")).map_or(rest.len(), |(start, _)| start);
        let (own, later) = rest.split_at(next);
        rest = later;
        Some(match find_tag(own, &format!("</{tag}")) {
            Some((start, end)) => Block {
                tag,
                inside: &own[..start],
                is_closed: true,
                after: &own[end..],
            },
            None => Block {
                tag,
                inside: own,
                is_closed: false,
                after: "",
            },
        })
    })
}

/// Where a tag begins and where what follows it does; letters in either case, attributes allowed.
fn find_tag(text: &str, tag: &str) -> Option<(usize, usize)> {
    // Lower case of ASCII alone: every byte keeps its place.
    let lower = text.to_ascii_lowercase();
    let mut from = 0;
    loop {
        let start = from + lower[from..].find(tag)?;
        let behind = start + tag.len();
        let is_whole =
            lower[behind..].starts_with(|next: char| next == '>' || next.is_whitespace());
        match lower[behind..].find('>') {
            Some(end) if is_whole => return Some((start, behind + end + 1)),
            _ => from = behind,
        }
    }
}

fn of_block(block: Block<'_>) -> Option<Verbalized> {
    // `<text>` alone has its probability behind it.
    let within = match block.tag {
        "text" => block.after,
        _ => block.inside,
    };
    let probability = blocks(within, "probability").next();
    let text = if block.tag == "text" {
        block.is_closed.then_some(block.inside)?
    } else {
        match blocks(block.inside, "text").next() {
            Some(text) if text.is_closed => text.inside,
            // Its end was forgotten: the probability ends it, or the response.
            Some(text) => before_probability(text.inside, block.is_closed)?,
            None => before_probability(block.inside, block.is_closed)?,
        }
    };
    let text = text.trim();
    (!text.is_empty()).then(|| Verbalized {
        text: text.to_owned(),
        probability: probability.and_then(|it| number(it.inside)),
    })
}

fn before_probability(text: &str, is_closed: bool) -> Option<&str> {
    match find_tag(text, "<probability") {
        Some((start, _)) => Some(&text[..start]),
        None => is_closed.then_some(text),
    }
}

/// A probability as models write it: `0.12`, `12%`, `~0.1 (rare)`.
fn number(text: &str) -> Option<f64> {
    let digits = text.trim_start_matches(|c: char| !c.is_ascii_digit() && c != '.');
    let end = digits
        .find(|c: char| !c.is_ascii_digit() && c != '.')
        .unwrap_or(digits.len());
    let number: f64 = digits[..end].parse().ok()?;
    let is_percent = digits[end..].trim_start().starts_with('%');
    let number = if is_percent { number / 100.0 } else { number };
    (0.0..=1.0).contains(&number).then_some(number)
}

/// Responses in JSON: a list, an object that holds one, or one object after the other, with
/// anything around.
fn json_items(answer: &str) -> Vec<Verbalized> {
    let mut found = Vec::new();
    let mut from = 0;
    while let Some(start) = answer[from..].find(['{', '[']).map(|at| from + at) {
        let mut values = serde_json::Deserializer::from_str(&answer[start..]).into_iter::<Value>();
        from = match values.next() {
            Some(Ok(value)) => {
                collect(&value, &mut found);
                start + values.byte_offset()
            }
            // A list that was cut off: its whole items are still to be found.
            _ => start + 1,
        };
    }
    found
}

fn collect(value: &Value, found: &mut Vec<Verbalized>) {
    match value {
        Value::Array(items) => items.iter().for_each(|item| collect(item, found)),
        Value::Object(fields) => {
            let named = |names: &[&str]| {
                let mut fields = fields.iter();
                fields.find_map(|(name, value)| {
                    names.contains(&&*name.to_lowercase()).then_some(value)
                })
            };
            let text = named(&["text", "response", "content"]).and_then(Value::as_str);
            match text.map(str::trim).filter(|text| !text.is_empty()) {
                Some(text) => found.push(Verbalized {
                    text: text.to_owned(),
                    probability: named(&["probability", "prob", "p"]).and_then(|it| match it {
                        Value::String(text) => number(text),
                        it => it.as_f64().filter(|it| (0.0..=1.0).contains(it)),
                    }),
                }),
                None => fields.values().for_each(|value| collect(value, found)),
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(answer: &str) -> Vec<(String, Option<f64>)> {
        parse(answer)
            .into_iter()
            .map(|it| (it.text, it.probability))
            .collect()
    }

    fn pair(first: Option<f64>, second: Option<f64>) -> Vec<(String, Option<f64>)> {
        vec![
            ("A fox.".to_owned(), first),
            ("Ein Bär 🐻.".to_owned(), second),
        ]
    }

    #[test]
    fn tags_as_asked_for() {
        let answer = "<response>\n<text>A fox.</text>\n<probability>0.25</probability>\n</response>\n\
                      <response><text>\nEin Bär 🐻.\n</text><probability>0.05</probability></response>";
        assert_eq!(parsed(answer), pair(Some(0.25), Some(0.05)));
    }

    #[test]
    fn tags_as_models_write_them() {
        for (answer, probabilities) in [
            (
                "Sure!\n<Response id=\"1\"><TEXT>A fox.</TEXT><Probability>25%</Probability></Response>\n\n\
                 <response><text>Ein Bär 🐻.</text></response> Enjoy!",
                (Some(0.25), None),
            ),
            (
                "<response>A fox.<probability>~0.1 (rare)</probability></response>\
                 <response>Ein Bär 🐻.</response>",
                (Some(0.1), None),
            ),
            (
                "<response><text>A fox.<probability>.5</probability></response>\
                 <response><text>Ein Bär 🐻.</response>",
                (Some(0.5), None),
            ),
            (
                "<text>A fox.</text><probability>1</probability><text>Ein Bär 🐻.</text>",
                (Some(1.0), None),
            ),
            (
                "<response><text>A fox.</text><probability>7</probability>\
                 <response><text>Ein Bär 🐻.</text><probability>high",
                (None, None),
            ),
        ] {
            assert_eq!(
                parsed(answer),
                pair(probabilities.0, probabilities.1),
                "{answer}"
            );
        }
    }

    #[test]
    fn what_was_cut_off_is_left_out() {
        let answer = "<response><text>A fox.</text><probability>0.2</probability></response>\
                      <response><text>Ein B";
        assert_eq!(parsed(answer), pair(Some(0.2), None)[..1]);
        let answer = r#"{"responses": [{"text": "A fox.", "probability": 0.2}, {"text": "Ein B"#;
        assert_eq!(parsed(answer), pair(Some(0.2), None)[..1]);
    }

    #[test]
    fn json_with_anything_around() {
        for answer in [
            r#"{"responses": [{"text": "A fox.", "probability": 0.2}, {"text": "Ein Bär 🐻.", "probability": "10%"}]}"#,
            "Here [as asked]:\n```json\n[{\"response\": \"A fox.\", \"p\": 0.2},\n {\"Response\": \"Ein Bär 🐻.\", \"Probability\": 0.1}]\n```",
            "{\"text\": \"A fox.\", \"prob\": 0.2}\n{\"text\": \" Ein Bär 🐻. \", \"prob\": 0.1}",
        ] {
            assert_eq!(parsed(answer), pair(Some(0.2), Some(0.1)), "{answer}");
        }
    }

    #[test]
    fn prose_and_empty_tags_are_nothing() {
        for answer in [
            "",
            "I cannot do that.",
            "<response></response>",
            "<textual>x</textual>",
            "[1, {\"a\": []}]",
            "<response",
            "{{[[<text>",
        ] {
            assert_eq!(parsed(answer), [], "{answer}");
        }
    }

    #[test]
    fn the_request_says_how_many_and_how_improbable() {
        let text = request(5, Some(0.1));
        assert!(text.contains("5 different") && text.contains("below 0.1"));
        assert!(!request(3, None).contains("below"));
    }
}
