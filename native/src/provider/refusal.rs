//! What a status other than success means, and what to do about it.

use ureq::http::StatusCode;

/// A status that is no success.
pub(super) enum Refusal {
    /// Asking again may help.
    Passing(String),
    /// The provider does not answer this prompt, whoever asks.
    Filtered,
    /// Nothing helps but what the text says.
    Final(String),
}

/// What the user may have to change.
pub(super) struct Asked<'a> {
    pub(super) url: &'a str,
    pub(super) model: &'a str,
    /// The variable that the key comes from.
    pub(super) variable: &'a str,
    pub(super) has_key: bool,
}

/// Reads a refusal: `said` is the server's message, `code` its name for it.
pub(super) fn refusal(status: StatusCode, said: &str, code: &str, asked: &Asked<'_>) -> Refusal {
    let Asked {
        url,
        model,
        variable,
        ..
    } = asked;
    let number = status.as_u16();
    let said = if said.is_empty() {
        String::new()
    } else {
        format!(": {said}")
    };
    let is_code = |codes: &[&str]| codes.contains(&code);
    match number {
        429 if is_code(&["insufficient_quota", "billing_hard_limit_reached"]) => {
            Refusal::Final(format!(
                "the account of {variable} has no credit left{said}; add some, and run the same command again"
            ))
        }
        408 | 409 | 425 | 429 | 500..=599 => Refusal::Passing(format!("status {number}{said}")),
        400 | 403 | 422 if is_code(&["content_filter", "content_policy_violation"]) => {
            Refusal::Filtered
        }
        401 | 403 if !asked.has_key => Refusal::Final(format!(
            "{url} wants a key (status {number}){said}; put it into {variable}, or name another variable with --api-key-env"
        )),
        401 | 403 => Refusal::Final(format!(
            "{url} refuses the key in {variable} (status {number}){said}; put a valid one there, or name another variable with --api-key-env"
        )),
        404 => Refusal::Final(format!(
            "{url} knows no model {model} (status 404){said}; check the model's name and --base-url"
        )),
        300..=399 => Refusal::Final(format!(
            "{url} sends questions elsewhere (status {number}); give that address as --base-url"
        )),
        _ => Refusal::Final(format!(
            "{url} refuses the question (status {number}){said}; change what it complains about: \
             a flag of the sampling, the model's name, --provider"
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(status: u16, code: &str, has_key: bool) -> String {
        let asked = Asked {
            url: "http://x/v1",
            model: "m",
            variable: "KEY",
            has_key,
        };
        let status = StatusCode::from_u16(status).unwrap();
        match refusal(status, "so it says", code, &asked) {
            Refusal::Passing(text) => format!("again: {text}"),
            Refusal::Filtered => "filtered".to_owned(),
            Refusal::Final(text) => text,
        }
    }

    #[test]
    fn every_status_has_a_meaning_and_a_remedy() {
        for status in [408, 429, 500, 502, 503, 529] {
            assert!(
                of(status, "", true).starts_with("again: status "),
                "{status}"
            );
        }
        assert_eq!(of(400, "content_filter", true), "filtered");
        for (status, code, has_key, remedy) in [
            (
                429,
                "insufficient_quota",
                true,
                "no credit left: so it says",
            ),
            (401, "", true, "put a valid one there"),
            (401, "", false, "wants a key"),
            (404, "", true, "check the model's name"),
            (307, "", true, "give that address as --base-url"),
            (400, "", true, "so it says; change what it complains about"),
        ] {
            let text = of(status, code, has_key);
            assert!(text.contains(remedy), "{text}");
        }
    }
}
