//! What pages that fetch nothing have in common: escapes, and a policy that keeps it so.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use sha2::{Digest, Sha256};

/// Text made safe for HTML content and for double- or single-quoted attributes.
pub(crate) fn escape(text: &str) -> String {
    let mut safe = String::with_capacity(text.len() + text.len() / 16);
    for character in text.chars() {
        match character {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            // HTML forbids NUL; parsers disagree on what becomes of it.
            '\0' => safe.push('\u{fffd}'),
            other => safe.push(other),
        }
    }
    safe
}

/// JSON that cannot end the `<script>` element it is written into.
///
/// Inside a string, JSON lets any character be written as `\uXXXX`, and none of these characters
/// occurs outside one, so replacing them leaves the same document.
pub(crate) fn json_for_script(value: &Value) -> String {
    value
        .to_string()
        .replace('&', "\\u0026")
        .replace('<', "\\u003c")
        .replace('>', "\\u003e")
        .replace('\u{2028}', "\\u2028")
        .replace('\u{2029}', "\\u2029")
}

/// A page's own style and script, and the content security policy that lets in nothing else.
pub(crate) struct Own {
    style: String,
    script: String,
}

impl Own {
    /// A checkout with CRLF line ends must not change the hash that the browser computes.
    pub(crate) fn new(style: &str, script: &str) -> Self {
        Self {
            style: style.replace("\r\n", "\n"),
            script: script.replace("\r\n", "\n"),
        }
    }

    /// The policy as a `<meta>` element. It stands before everything it rules.
    pub(crate) fn policy(&self) -> String {
        format!(
            "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'sha256-{}'; \
             script-src 'sha256-{}'; base-uri 'none'; form-action 'none'\">",
            hash(&self.style),
            hash(&self.script)
        )
    }

    /// The `<style>` and `<script>` elements.
    pub(crate) fn elements(&self) -> String {
        format!(
            "<style>{}</style>\n<script>{}</script>",
            self.style, self.script
        )
    }
}

/// The name by which a content security policy lets exactly this text through.
fn hash(text: &str) -> String {
    STANDARD.encode(Sha256::digest(text.as_bytes()))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn escapes_everything_that_could_leave_its_place() {
        assert_eq!(
            escape("</script><b a=\"x\" b='y'>&\0"),
            "&lt;/script&gt;&lt;b a=&quot;x&quot; b=&#39;y&#39;&gt;&amp;\u{fffd}"
        );
        assert_eq!(escape("שלום 🦔 Zürich"), "שלום 🦔 Zürich");
    }

    #[test]
    fn script_json_is_the_same_document() {
        let value = json!({"text": "</script><!-- & \u{2028} \\ \" 🦔"});
        let safe = json_for_script(&value);
        assert!(!safe.contains('<') && !safe.contains('>') && !safe.contains('&'));
        assert_eq!(serde_json::from_str::<Value>(&safe).unwrap(), value);
    }

    #[test]
    fn the_policy_names_what_is_on_the_page_whatever_the_line_ends() {
        let (unix, windows) = (Own::new("a\nb", "c\n"), Own::new("a\r\nb", "c\r\n"));
        assert_eq!(unix.policy(), windows.policy());
        assert_eq!(unix.elements(), windows.elements());
        // sha256 of "c\n".
        assert!(
            unix.policy()
                .contains("script-src 'sha256-o6XnFfDMV0pzw/m+u2vCTzL/1bZ7OHJEwskJ2neaFHg='"),
            "{}",
            unix.policy()
        );
    }
}
