//! Claims with their verdicts and what was found about each.

use super::ClaimShown;
use super::table;
use crate::html::escape;
use crate::study::Verdict;

/// The claims as articles, each with the table of its comparisons.
pub(super) fn claims(claims: &[ClaimShown]) -> String {
    claims.iter().map(claim).collect()
}

fn claim(claim: &ClaimShown) -> String {
    let rows: Vec<Vec<String>> = claim.findings.iter().map(|row| row.to_vec()).collect();
    format!(
        "<article class=\"claim\"><h3><span class=\"verdict {}\">{}</span> {}</h3>\n<p class=\"note\">{}</p>\n{}</article>\n",
        class(claim.verdict),
        claim.verdict.as_str(),
        escape(&claim.statement),
        escape(&claim.criterion),
        table::plain(&claim.statement, &COLUMNS.map(str::to_owned), &rows)
    )
}

/// What stands above the findings of a claim.
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
        }]);
        assert!(
            html.contains("<span class=\"verdict worse\">does not hold</span> a &lt; b"),
            "{html}"
        );
        assert!(html.contains("<td class=\"number\">−1.0 [−2.0, −0.5]</td>"));
    }
}
