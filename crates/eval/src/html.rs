//! What self-contained pages share: embedded data, their own style and script, and a content
//! security policy that admits nothing else.
//!
//! Markup is built with [`maud`], which escapes every value where it is inserted.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use maud::{Markup, PreEscaped, html};
use serde_json::Value;
use sha2::{Digest, Sha256};

/// The finished page as text.
///
/// HTML forbids NUL and parsers disagree on what to make of it, so the replacement character stands
/// in its place.
pub(crate) fn finish(page: Markup) -> String {
    let page = page.into_string();
    if page.contains('\0') {
        page.replace('\0', "\u{fffd}")
    } else {
        page
    }
}

/// JSON that cannot end the `<script>` element around it.
///
/// JSON allows any character of a string to be written as `\uXXXX`, and none of these characters
/// occurs outside strings, so the document stays the same.
pub(crate) fn json_for_script(value: &Value) -> Markup {
    PreEscaped(
        value
            .to_string()
            .replace('&', "\\u0026")
            .replace('<', "\\u003c")
            .replace('>', "\\u003e")
            .replace('\u{2028}', "\\u2028")
            .replace('\u{2029}', "\\u2029"),
    )
}

/// A page's own style and script, and the content security policy that admits nothing else.
pub(crate) struct Assets {
    style: String,
    script: String,
}

impl Assets {
    /// Line ends become `\n`: a checkout with CRLF must not change the hash that the browser
    /// computes.
    pub(crate) fn new(style: &str, script: &str) -> Self {
        Self {
            style: style.replace("\r\n", "\n"),
            script: script.replace("\r\n", "\n"),
        }
    }

    /// The policy as a `<meta>` element; it must precede everything it governs.
    pub(crate) fn policy(&self) -> Markup {
        let policy = format!(
            "default-src 'none'; style-src 'sha256-{}'; script-src 'sha256-{}'; base-uri 'none'; form-action 'none'",
            hash(&self.style),
            hash(&self.script)
        );
        html! { meta http-equiv="Content-Security-Policy" content=(policy); }
    }

    /// The `<style>` and `<script>` elements.
    pub(crate) fn elements(&self) -> Markup {
        html! {
            style { (PreEscaped(&self.style)) } "\n"
            script { (PreEscaped(&self.script)) }
        }
    }
}

/// The hash by which a content security policy names this exact text.
fn hash(text: &str) -> String {
    STANDARD.encode(Sha256::digest(text.as_bytes()))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn nothing_escapes_the_place_it_is_written_to() {
        let text = "</script><b a=\"x\" b='y'>&\0";
        let safe = "&lt;/script&gt;&lt;b a=&quot;x&quot; b='y'&gt;&amp;\u{fffd}";
        assert_eq!(
            finish(html! { p title=(text) { (text) } }),
            format!("<p title=\"{safe}\">{safe}</p>")
        );
        let text = "שלום 🦔 Zürich";
        assert_eq!(finish(html! { (text) }), text);
    }

    #[test]
    fn script_json_is_the_same_document() {
        let value = json!({"text": "</script><!-- & \u{2028} \\ \" 🦔"});
        let safe = json_for_script(&value).into_string();
        assert!(!safe.contains('<') && !safe.contains('>') && !safe.contains('&'));
        assert_eq!(serde_json::from_str::<Value>(&safe).unwrap(), value);
    }

    #[test]
    fn the_policy_hashes_what_is_on_the_page_whatever_the_line_ends() {
        let (unix, windows) = (Assets::new("a\nb", "c\n"), Assets::new("a\r\nb", "c\r\n"));
        let policy = unix.policy().into_string();
        assert_eq!(policy, windows.policy().into_string());
        assert_eq!(
            unix.elements().into_string(),
            windows.elements().into_string()
        );
        // sha256 of "c\n".
        assert!(
            policy.contains("script-src 'sha256-o6XnFfDMV0pzw/m+u2vCTzL/1bZ7OHJEwskJ2neaFHg='"),
            "{policy}"
        );
    }
}
