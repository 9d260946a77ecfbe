//! The markup of the tables, and its rendering.
//!
//! A template is lower-case English with three kinds of holes:
//! - `{c}` the character as subject, `{s}` its pronoun, `{m}` the object form, `{p}` the possessive,
//!   `{n}` the character's bare noun; `{o}` object, `{a}` its adjective, `{l}` place, `{t}` time, `{f}` a friend's name;
//! - `[seek|seeks|sought]` a verb whose subject is the character: base, third person, past;
//! - `<waits|waited>` a verb with any other subject: present, past.
//!
//! ` / ` marks where a terse teller may cut the sentence.

use crate::words::Pronouns;

/// Who the character is to the teller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Person {
    First,
    Second,
    Third,
}

/// The tense of the tale.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tense {
    Present,
    Past,
}

/// The person and tense in which a voice conjugates every template.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Speech {
    pub(crate) person: Person,
    pub(crate) tense: Tense,
}

/// What fills the named slots of one tale.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Scene {
    pub(crate) character: &'static str,
    pub(crate) pronouns: Pronouns,
    pub(crate) object: &'static str,
    pub(crate) place: &'static str,
    pub(crate) adjective: &'static str,
    pub(crate) time: &'static str,
    pub(crate) friend: &'static str,
}

impl Scene {
    fn fill(&self, slot: &str, person: Person, out: &mut String) {
        let pronouns = match person {
            Person::First => Pronouns::FIRST,
            Person::Second => Pronouns::SECOND,
            Person::Third => self.pronouns,
        };
        if slot == "c" && person == Person::Third {
            out.push_str("the ");
            out.push_str(self.character);
            return;
        }
        out.push_str(match slot {
            "c" | "s" => pronouns.subject,
            "m" => pronouns.object,
            "p" => pronouns.possessive,
            "n" => self.character,
            "o" => self.object,
            "a" => self.adjective,
            "l" => self.place,
            "t" => self.time,
            "f" => self.friend,
            _ => "",
        });
    }
}

/// Renders a template; the cuts stay in the text as ` / `.
pub(crate) fn render(template: &str, speech: Speech, scene: &Scene) -> String {
    let mut out = String::with_capacity(template.len());
    for piece in pieces(template) {
        match piece {
            Piece::Plain(text) => out.push_str(text),
            Piece::Slot(name) => scene.fill(name, speech.person, &mut out),
            Piece::Verb(forms) => out.push_str(conjugate(forms, speech)),
        }
    }
    out
}

/// Present and past forms of every verb of a template.
pub(crate) fn verbs(template: &str) -> (Vec<&str>, Vec<&str>) {
    let (mut present, mut past) = (Vec::new(), Vec::new());
    for piece in pieces(template) {
        if let Piece::Verb(forms) = piece {
            let mut forms: Vec<&str> = forms.split('|').collect();
            past.extend(forms.pop());
            present.extend(forms);
        }
    }
    (present, past)
}

/// Every word that a template can produce, apart from its slots.
pub(crate) fn literals(template: &str) -> Vec<&str> {
    pieces(template)
        .flat_map(|piece| {
            match piece {
                Piece::Plain(text) | Piece::Verb(text) => text,
                Piece::Slot(_) => "",
            }
            .split(|c: char| !c.is_alphanumeric())
        })
        .filter(|word| !word.is_empty())
        .collect()
}

/// The sentence of a rendered template: uncut, capitalised, ended by `end`.
pub(crate) fn sentence(rendered: &str, end: char) -> String {
    capitalised(&rendered.replace(" / ", " "), end)
}

/// The fragments of a rendered template, each a sentence without its leading small words;
/// `lead` comes before the first.
pub(crate) fn fragments(lead: &str, rendered: &str, subject: &str) -> String {
    let clipped: Vec<&str> = rendered
        .split(" / ")
        .map(|part| clip(part, subject))
        .collect();
    let joined = clipped.join(" / ");
    let led = if lead.is_empty() {
        joined
    } else {
        format!("{lead} {joined}")
    };
    let sentences: Vec<String> = led
        .split(" / ")
        .map(|part| capitalised(part, '.'))
        .collect();
    sentences.join(" ")
}

/// A fragment without leading words that a telegram would omit.
pub(crate) fn clip<'a>(part: &'a str, subject: &str) -> &'a str {
    ["and", subject, "the", "a", "an"]
        .into_iter()
        .fold(part, |part, word| {
            part.strip_prefix(word)
                .and_then(|rest| rest.strip_prefix(' '))
                .unwrap_or(part)
        })
}

fn capitalised(text: &str, end: char) -> String {
    let mut chars = text.chars();
    let mut out: String = chars
        .next()
        .into_iter()
        .flat_map(char::to_uppercase)
        .collect();
    out.push_str(chars.as_str());
    out.push(end);
    out
}

enum Piece<'a> {
    Plain(&'a str),
    Slot(&'a str),
    Verb(&'a str),
}

fn pieces(template: &str) -> impl Iterator<Item = Piece<'_>> {
    let mut rest = template;
    std::iter::from_fn(move || {
        let open = rest.find(['{', '[', '<']).unwrap_or(rest.len());
        if open > 0 {
            let (plain, tail) = rest.split_at(open);
            rest = tail;
            return Some(Piece::Plain(plain));
        }
        let close = rest.find(['}', ']', '>'])?;
        let inner = &rest[1..close];
        let slot = rest.starts_with('{');
        rest = &rest[close + 1..];
        Some(if slot {
            Piece::Slot(inner)
        } else {
            Piece::Verb(inner)
        })
    })
}

fn conjugate(forms: &str, speech: Speech) -> &str {
    let mut forms = forms.split('|');
    let form = match (speech.tense, speech.person, forms.clone().count()) {
        (Tense::Past, _, _) => forms.next_back(),
        (Tense::Present, Person::Third, 3) => forms.nth(1),
        (Tense::Present, _, _) => forms.next(),
    };
    form.unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SCENE: Scene = Scene {
        character: "baker",
        pronouns: Pronouns::SHE,
        object: "lantern",
        place: "forest",
        adjective: "silver",
        time: "at dawn",
        friend: "Anna",
    };

    const TEMPLATE: &str = "{t} {c} [seek|seeks|sought] the {a} {o} / and {s} [see|sees|saw] that it <waits|waited> for {m}";

    fn tell(person: Person, tense: Tense) -> String {
        sentence(&render(TEMPLATE, Speech { person, tense }, &SCENE), '.')
    }

    #[test]
    fn one_template_in_every_person_and_tense() {
        assert_eq!(
            tell(Person::Third, Tense::Past),
            "At dawn the baker sought the silver lantern and she saw that it waited for her."
        );
        assert_eq!(
            tell(Person::First, Tense::Present),
            "At dawn I seek the silver lantern and I see that it waits for me."
        );
        assert_eq!(
            tell(Person::Second, Tense::Past),
            "At dawn you sought the silver lantern and you saw that it waited for you."
        );
    }

    #[test]
    fn fragments_drop_the_pronoun() {
        let speech = Speech {
            person: Person::Third,
            tense: Tense::Present,
        };
        assert_eq!(
            fragments("soon", &render(TEMPLATE, speech, &SCENE), "she"),
            "Soon at dawn the baker seeks the silver lantern. Sees that it waits for her."
        );
    }

    #[test]
    fn a_broken_template_ends_quietly() {
        let speech = Speech {
            person: Person::Third,
            tense: Tense::Past,
        };
        assert_eq!(
            render("one {unknown} two [three", speech, &SCENE),
            "one  two "
        );
    }

    #[test]
    fn verbs_and_words_of_a_template() {
        let (present, past) = verbs(TEMPLATE);
        assert_eq!(present, ["seek", "seeks", "see", "sees", "waits"]);
        assert_eq!(past, ["sought", "saw", "waited"]);
        assert!(literals(TEMPLATE).contains(&"sought"));
        assert!(!literals(TEMPLATE).contains(&"o"));
    }
}
