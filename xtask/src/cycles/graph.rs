//! Strongly connected files.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

/// A path in one file that leads to another.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Import {
    pub(super) from: PathBuf,
    pub(super) line: usize,
    pub(super) to: PathBuf,
    /// As it is written, from its first segment on.
    pub(super) path: String,
}

/// Files of which each reaches every other.
pub(super) struct Circle {
    pub(super) files: BTreeSet<PathBuf>,
    /// The first import of each pair of them.
    pub(super) imports: Vec<Import>,
}

/// The circles in a crate, by their first file.
pub(super) fn circles(imports: &[Import]) -> Vec<Circle> {
    let mut edges: BTreeMap<&PathBuf, BTreeSet<&PathBuf>> = BTreeMap::new();
    for import in imports {
        edges.entry(&import.from).or_default().insert(&import.to);
    }
    let reaches: BTreeMap<&PathBuf, BTreeSet<&PathBuf>> = edges
        .keys()
        .map(|&file| (file, reachable(file, &edges)))
        .collect();
    let both = |a: &PathBuf, b: &PathBuf| {
        let leads = |from, to| reaches.get(from).is_some_and(|files| files.contains(to));
        leads(a, b) && leads(b, a)
    };
    let mut circles: Vec<Circle> = Vec::new();
    for &file in edges.keys() {
        if !both(file, file) || circles.iter().any(|circle| circle.files.contains(file)) {
            continue;
        }
        let files: BTreeSet<PathBuf> = (edges.keys().copied())
            .filter(|other| both(file, other))
            .cloned()
            .collect();
        let mut inside: Vec<Import> = imports
            .iter()
            .filter(|import| files.contains(&import.from) && files.contains(&import.to))
            .cloned()
            .collect();
        inside.sort_by(|a, b| (&a.from, &a.to, a.line).cmp(&(&b.from, &b.to, b.line)));
        inside.dedup_by(|later, first| (&later.from, &later.to) == (&first.from, &first.to));
        circles.push(Circle {
            files,
            imports: inside,
        });
    }
    circles
}

/// The files that one leads to in one step or more.
fn reachable<'a>(
    file: &'a PathBuf,
    edges: &BTreeMap<&'a PathBuf, BTreeSet<&'a PathBuf>>,
) -> BTreeSet<&'a PathBuf> {
    let mut found = BTreeSet::new();
    let mut next = vec![file];
    while let Some(file) = next.pop() {
        for &to in edges.get(file).into_iter().flatten() {
            if found.insert(to) {
                next.push(to);
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn import(from: &str, line: usize, to: &str) -> Import {
        Import {
            from: from.into(),
            line,
            to: to.into(),
            path: String::new(),
        }
    }

    #[test]
    fn circles_are_files_that_reach_each_other() {
        let imports = [
            import("a", 1, "b"),
            import("b", 2, "c"),
            import("c", 5, "a"),
            import("c", 3, "a"),
            import("a", 4, "d"),
            import("d", 1, "e"),
            import("f", 1, "g"),
            import("g", 1, "f"),
        ];
        let found = circles(&imports);
        let files: Vec<Vec<&str>> = (found.iter())
            .map(|circle| {
                circle
                    .files
                    .iter()
                    .filter_map(|file| file.to_str())
                    .collect()
            })
            .collect();
        assert_eq!(files, [vec!["a", "b", "c"], vec!["f", "g"]]);
        let lines: Vec<usize> = found[0].imports.iter().map(|import| import.line).collect();
        assert_eq!(lines, [1, 2, 3]);
        assert!(circles(&imports[..2]).is_empty());
    }
}
