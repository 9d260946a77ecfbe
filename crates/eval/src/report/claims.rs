//! Claims with their verdicts and the comparisons behind them.

use maud::{Markup, html};

use super::document::ClaimShown;
use super::table;
use crate::study::Verdict;

/// The claims as articles, each with a table of its comparisons.
pub(super) fn claims(claims: &[ClaimShown]) -> Markup {
    html! { @for claim in claims { (article(claim)) } }
}

fn article(claim: &ClaimShown) -> Markup {
    let rows: Vec<Vec<String>> = claim.findings.iter().map(|row| row.to_vec()).collect();
    html! {
        article.claim {
            h3 {
                span class={ "verdict " (class(claim.verdict)) } { (claim.verdict.as_str()) }
                " " (claim.statement)
            } "\n"
            p.note { (claim.criterion) } "\n"
            (table::plain(&claim.statement, &COLUMNS.map(str::to_owned), &rows))
        } "\n"
    }
}

/// The headings over the findings of a claim.
pub(super) const COLUMNS: [&str; 4] = ["comparison", "in", "difference", "as claimed?"];

const fn class(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Holds => "better",
        Verdict::InPart | Verdict::NotEstablished => "unsure",
        Verdict::Contradicted => "worse",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_claim_that_fails_is_shown_as_such() {
        let html = claims(&[ClaimShown {
            statement: "a < b".to_owned(),
            verdict: Verdict::Contradicted,
            criterion: "always".to_owned(),
            findings: vec![["b - a", "quality", "−1.0 [−2.0, −0.5]", "no"].map(str::to_owned)],
        }])
        .into_string();
        assert!(
            html.contains("<span class=\"verdict worse\">does not hold</span> a &lt; b"),
            "{html}"
        );
        assert!(html.contains("<td class=\"number\">−1.0 [−2.0, −0.5]</td>"));
    }
}
