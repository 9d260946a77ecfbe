//! Label placement on a scatter plot, so that no name covers another or a cross.

/// An axis-aligned box in drawing units.
#[derive(Clone, Copy, Debug)]
pub(super) struct Area {
    pub(super) left: f64,
    pub(super) top: f64,
    pub(super) right: f64,
    pub(super) bottom: f64,
}

impl Area {
    fn overlap(&self, other: &Self) -> f64 {
        let width = self.right.min(other.right) - self.left.max(other.left);
        let height = self.bottom.min(other.bottom) - self.top.max(other.top);
        width.max(0.0) * height.max(0.0)
    }

    fn outside(&self, frame: &Self) -> f64 {
        (self.right - self.left) * (self.bottom - self.top) - self.overlap(frame)
    }
}

/// A point to label: its position and its cross, as thin boxes that a name should not cover.
pub(super) struct Anchor {
    pub(super) x: f64,
    pub(super) y: f64,
    pub(super) cross: [Area; 2],
    pub(super) width: f64,
}

/// A placed name: its box, the edge of the box that the text is aligned to whatever its true width,
/// and whether it is far enough away to need a leader line.
#[derive(Clone, Copy)]
pub(super) struct PlacedLabel {
    pub(super) area: Area,
    pub(super) text_anchor: &'static str,
    pub(super) far: bool,
}

impl PlacedLabel {
    /// The horizontal position of the text anchor.
    pub(super) fn x(&self) -> f64 {
        match self.text_anchor {
            "start" => self.area.left,
            "end" => self.area.right,
            _ => (self.area.left + self.area.right) / 2.0,
        }
    }
}

/// The height of a line of labels.
pub(super) const LINE: f64 = 16.0;
const MARKER: f64 = 7.0;
const REACHES: [f64; 5] = [9.0, 16.0, 28.0, 44.0, 64.0];
/// Diagonals first: the crosses lie along the axes.
const DIRECTIONS: [(f64, f64); 8] = [
    (1.0, -0.7),
    (1.0, 0.7),
    (-1.0, -0.7),
    (-1.0, 0.7),
    (1.0, 0.0),
    (-1.0, 0.0),
    (0.0, -1.0),
    (0.0, 1.0),
];

/// The estimated width of a text of `size`: no font metrics are at hand here.
pub(super) fn text_width(text: &str, size: f64) -> f64 {
    let ems: f64 = text
        .chars()
        .map(|character| match character {
            'i' | 'j' | 'l' | 't' | 'f' | 'r' | ' ' | '.' | ',' | ':' | '-' | '\'' | '|' => 0.36,
            'm' | 'w' | 'M' | 'W' | '@' => 0.9,
            'A'..='Z' => 0.7,
            wide if wide > '\u{2e80}' => 1.05,
            _ => 0.58,
        })
        .sum();
    ems * size
}

/// A place for each anchor's name inside `frame` and, where possible, off the `lines`: each takes its
/// cheapest place in turn, then all choose again given the others' places, twice.
pub(super) fn place(anchors: &[Anchor], lines: &[Area], frame: Area) -> Vec<PlacedLabel> {
    let mut chosen: Vec<Option<PlacedLabel>> = vec![None; anchors.len()];
    for _ in 0..3 {
        for index in 0..anchors.len() {
            let others: Vec<Area> = chosen
                .iter()
                .enumerate()
                .filter(|(other, _)| *other != index)
                .filter_map(|(_, place)| place.map(|placed| placed.area))
                .collect();
            chosen[index] = best(&anchors[index], anchors, &others, lines, frame);
        }
    }
    anchors
        .iter()
        .zip(chosen)
        .map(|(anchor, placed)| {
            placed.unwrap_or_else(|| candidate(anchor, DIRECTIONS[0], REACHES[0]))
        })
        .collect()
}

fn best(
    anchor: &Anchor,
    anchors: &[Anchor],
    others: &[Area],
    lines: &[Area],
    frame: Area,
) -> Option<PlacedLabel> {
    REACHES
        .iter()
        .flat_map(|&reach| {
            DIRECTIONS
                .iter()
                .enumerate()
                .map(move |(rank, &towards)| (reach, rank, towards))
        })
        .map(|(reach, rank, towards)| {
            let placed = candidate(anchor, towards, reach);
            let area = placed.area;
            let markers: f64 = anchors
                .iter()
                .map(|other| area.overlap(&marker(other)))
                .sum();
            let crosses: f64 = anchors
                .iter()
                .flat_map(|other| &other.cross)
                .map(|arm| area.overlap(arm))
                .sum();
            let names: f64 = others.iter().map(|other| area.overlap(other)).sum();
            let crossed: f64 = lines.iter().map(|line| area.overlap(line)).sum();
            let cost = 20.0 * names
                + 10.0 * markers
                + 2.0 * crosses
                + 0.4 * crossed
                + 30.0 * area.outside(&frame)
                + reach
                + rank as f64;
            (cost, placed)
        })
        .min_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, placed)| placed)
}

fn marker(anchor: &Anchor) -> Area {
    Area {
        left: anchor.x - MARKER,
        top: anchor.y - MARKER,
        right: anchor.x + MARKER,
        bottom: anchor.y + MARKER,
    }
}

fn candidate(anchor: &Anchor, (across, down): (f64, f64), reach: f64) -> PlacedLabel {
    let x = anchor.x + across * reach;
    let (left, text_anchor) = if across > 0.0 {
        (x, "start")
    } else if across < 0.0 {
        (x - anchor.width, "end")
    } else {
        (x - anchor.width / 2.0, "middle")
    };
    let middle = anchor.y + down * (reach + LINE / 4.0);
    let area = Area {
        left,
        top: middle - LINE / 2.0,
        right: left + anchor.width,
        bottom: middle + LINE / 2.0,
    };
    PlacedLabel {
        area,
        text_anchor,
        far: reach > 20.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn anchor(x: f64, y: f64) -> Anchor {
        let arm = |left, top, right, bottom| Area {
            left,
            top,
            right,
            bottom,
        };
        Anchor {
            x,
            y,
            cross: [
                arm(x - 30.0, y - 1.0, x + 30.0, y + 1.0),
                arm(x - 1.0, y - 30.0, x + 1.0, y + 30.0),
            ],
            width: 70.0,
        }
    }

    #[test]
    fn crowded_names_do_not_cover_each_other() {
        let frame = Area {
            left: 0.0,
            top: 0.0,
            right: 400.0,
            bottom: 300.0,
        };
        let anchors: Vec<Anchor> = [
            (200.0, 150.0),
            (204.0, 152.0),
            (208.0, 149.0),
            (390.0, 10.0),
            (395.0, 14.0),
        ]
        .map(|(x, y)| anchor(x, y))
        .into();
        let placed = place(&anchors, &[], frame);
        for (index, one) in placed.iter().enumerate() {
            assert!(one.area.outside(&frame) < 1e-6, "{index} leaves the frame");
            for other in &placed[index + 1..] {
                assert_eq!(one.area.overlap(&other.area), 0.0);
            }
        }
    }

    #[test]
    fn wide_scripts_are_estimated_wider() {
        assert!(text_width("物語の森", 13.0) > text_width("ilit", 13.0));
    }
}
