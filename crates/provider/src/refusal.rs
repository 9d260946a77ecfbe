//! What an HTTP error status means, and what to do about it.

use ureq::http::StatusCode;

/// An error status.
pub(super) enum Refusal {
    /// A retry may succeed.
    Passing(String),
    /// A content filter rejects this prompt.
    Filtered,
    /// Retrying is pointless; the text says what to change.
    Final(String),
}

/// What the user may have to change.
pub(super) struct Asked<'a> {
    pub(super) url: &'a str,
    pub(super) model: &'a str,
    /// The environment variable with the key.
    pub(super) variable: &'a str,
    pub(super) has_key: bool,
}

/// Interprets an error status: `said` is the server's message, `code` its error code.
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
                "the account of the key in {variable} has no credit left{said}; add some, and run the same command again"
            ))
        }
        408 | 409 | 425 | 429 | 500..=599 => Refusal::Passing(format!("status {number}{said}")),
        400 | 403 | 422 if is_code(&["content_filter", "content_policy_violation"]) => {
            Refusal::Filtered
        }
        401 | 403 if !asked.has_key => Refusal::Final(format!(
            "{url} needs an API key (status {number}){said}; set {variable}, or name another variable with --api-key-env"
        )),
        401 | 403 => Refusal::Final(format!(
            "{url} rejects the key in {variable} (status {number}){said}; set a valid one, or name another variable with --api-key-env"
        )),
        404 => Refusal::Final(format!(
            "{url} has no model {model} (status 404){said}; check the model's name and --base-url"
        )),
        300..=399 => Refusal::Final(format!(
            "{url} redirects requests (status {number}); give the new address as --base-url"
        )),
        _ => Refusal::Final(format!(
            "{url} rejects the request (status {number}){said}; change what it complains about: \
             a sampling flag, the model's name, --provider"
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
            Refusal::Passing(text) => format!("retry: {text}"),
            Refusal::Filtered => "filtered".to_owned(),
            Refusal::Final(text) => text,
        }
    }

    #[test]
    fn every_status_has_a_meaning_and_a_remedy() {
        for status in [408, 429, 500, 502, 503, 529] {
            assert!(
                of(status, "", true).starts_with("retry: status "),
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
            (401, "", true, "set a valid one"),
            (401, "", false, "needs an API key"),
            (404, "", true, "check the model's name"),
            (307, "", true, "give the new address as --base-url"),
            (400, "", true, "so it says; change what it complains about"),
        ] {
            let text = of(status, code, has_key);
            assert!(text.contains(remedy), "{text}");
        }
    }
}
