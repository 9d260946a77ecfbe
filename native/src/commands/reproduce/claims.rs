//! The paper's claims, as comparisons that can come out either way.

use rarebit_eval::study::{Bound, Claim, Evidence};

/// The drop in quality that counts as little: a tenth of the baseline's. Fixed before the runs.
pub(super) const LITTLE: f64 = 0.1;

type Name = &'static str;

const fn compared(system: Name, baseline: Name, metric: Name, bound: Bound) -> Evidence<'static> {
    Evidence {
        system,
        baseline,
        metric,
        bound,
    }
}

const fn above(system: Name, baseline: Name, metric: Name) -> Evidence<'static> {
    compared(system, baseline, metric, Bound::Above)
}

const fn falls_little(system: Name, baseline: Name) -> Evidence<'static> {
    compared(system, baseline, "quality", Bound::FallsLessThan(LITTLE))
}

/// The paper's claims, and one that needs a control the paper lacks.
pub(super) static CLAIMS: [Claim<'static>; 7] = [
    Claim {
        statement: "Deviation weighting raises the diversity that it targets",
        criterion: "Weights by semantic deviation: more semantic diversity than without weights; by style deviation: more \
                    style diversity; by both: more of both. With DPO and with ORPO.",
        evidence: &[
            above("ddpo-sem", "dpo", "semantic_diversity"),
            above("ddpo-style", "dpo", "style_diversity"),
            above("ddpo-both", "dpo", "semantic_diversity"),
            above("ddpo-both", "dpo", "style_diversity"),
            above("dorpo-sem", "orpo", "semantic_diversity"),
            above("dorpo-style", "orpo", "style_diversity"),
            above("dorpo-both", "orpo", "semantic_diversity"),
            above("dorpo-both", "orpo", "style_diversity"),
        ],
    },
    Claim {
        statement: "The true diversity of the tales rises",
        criterion: "More effective modes (a plot told in a voice) among a prompt's samples than without weights, by \
                    the oracle. The paper cannot test this; it has only embedders.",
        evidence: &[
            above("ddpo-sem", "dpo", "modes"),
            above("ddpo-style", "dpo", "modes"),
            above("ddpo-both", "dpo", "modes"),
            above("dorpo-both", "orpo", "modes"),
        ],
    },
    Claim {
        statement: "Quality falls little",
        criterion: "By less than a tenth of the quality without weights, as judged by the oracle.",
        evidence: &[
            falls_little("ddpo-sem", "dpo"),
            falls_little("ddpo-style", "dpo"),
            falls_little("ddpo-both", "dpo"),
            falls_little("dorpo-sem", "orpo"),
            falls_little("dorpo-style", "orpo"),
            falls_little("dorpo-both", "orpo"),
        ],
    },
    Claim {
        statement: "Both kinds together work best",
        criterion: "Weights by both kinds give more style diversity than by semantic deviation alone, more semantic \
                    diversity than by style deviation alone, and more true modes than either.",
        evidence: &[
            above("ddpo-both", "ddpo-sem", "style_diversity"),
            above("ddpo-both", "ddpo-style", "semantic_diversity"),
            above("ddpo-both", "ddpo-sem", "modes"),
            above("ddpo-both", "ddpo-style", "modes"),
        ],
    },
    Claim {
        statement: "Few responses per prompt hurt quality",
        criterion: "ddpo-both has lower quality with 4 responses per prompt than with all, although it learns from as many \
                    pairs, from more prompts. The table of all systems also shows dpo on the same 4 responses.",
        evidence: &[compared(
            "ddpo-both-4",
            "ddpo-both",
            "quality",
            Bound::Below,
        )],
    },
    Claim {
        statement: "A floor or the best-scored pairs mitigate this",
        criterion: "With 4 responses per prompt, each gives higher quality than without.",
        evidence: &[
            above("ddpo-both-4-floor", "ddpo-both-4", "quality"),
            above("ddpo-both-4-best", "ddpo-both-4", "quality"),
        ],
    },
    Claim {
        statement: "Deviation weighting beats DivPO",
        criterion: "ddpo-both has more semantic and more style diversity than DivPO, with quality lower by less than a \
                    tenth.",
        evidence: &[
            above("ddpo-both", "divpo", "semantic_diversity"),
            above("ddpo-both", "divpo", "style_diversity"),
            falls_little("ddpo-both", "divpo"),
        ],
    },
];

/// Claims that only controls can test.
pub(super) static CONTROLS: [Claim<'static>; 2] = [
    Claim {
        statement: "The gain comes from deviation, not from uneven weights",
        criterion: "ddpo-both has more of each diversity and more true modes than the same weights shuffled among the \
                    responses of each prompt.",
        evidence: &[
            above("ddpo-both", "ddpo-shuffled", "semantic_diversity"),
            above("ddpo-both", "ddpo-shuffled", "style_diversity"),
            above("ddpo-both", "ddpo-shuffled", "modes"),
        ],
    },
    Claim {
        statement: "Weights help even if pairs are selected by deviation",
        criterion: "DivPO's pairs with weights by both kinds give more of each diversity and more true modes than \
                    without, with quality lower by less than a tenth.",
        evidence: &[
            above("ddpo-both-divpo", "divpo", "semantic_diversity"),
            above("ddpo-both-divpo", "divpo", "style_diversity"),
            above("ddpo-both-divpo", "divpo", "modes"),
            falls_little("ddpo-both-divpo", "divpo"),
        ],
    },
];
