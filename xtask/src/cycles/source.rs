//! The modules of a crate, and where the paths in them lead.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use super::graph::Import;
use super::tokens::{Token, closing, is, tokens};

/// A module's path inside its crate: nothing for the root.
type ModulePath = Vec<String>;

/// The modules of a crate.
pub(super) struct Crate {
    modules: BTreeMap<ModulePath, Module>,
}

/// A module, in a file of its own or between braces in another's.
struct Module {
    file: PathBuf,
    uses: Vec<Use>,
    paths: Vec<PathUse>,
    /// The words of its code outside of `use`.
    words: BTreeSet<String>,
}

/// A name that a `use` brings in.
struct Use {
    /// Nothing for a glob.
    name: Option<String>,
    path: PathUse,
    is_public: bool,
}

/// A path as it is written.
#[derive(Clone)]
struct PathUse {
    segments: Vec<String>,
    line: usize,
}

impl Crate {
    /// The crate whose root is that one of the sources; none where there is no such file.
    pub(super) fn read(sources: &BTreeMap<PathBuf, String>, entry: &Path) -> Option<Self> {
        let mut krate = Self {
            modules: BTreeMap::new(),
        };
        let source = sources.get(entry)?;
        krate.file(sources, entry, Path::new(""), Vec::new(), source);
        Some(krate)
    }

    /// Adds the module in a file, and those that it declares, which are in `folder`.
    fn file(
        &mut self,
        sources: &BTreeMap<PathBuf, String>,
        file: &Path,
        folder: &Path,
        module: ModulePath,
        source: &str,
    ) {
        let tokens = tokens(source);
        let mut reader = Reader {
            krate: self,
            file,
            tokens: &tokens,
            at: 0,
            declared: Vec::new(),
        };
        reader.module(module);
        for module in std::mem::take(&mut reader.declared) {
            let name = module.last().map_or("", String::as_str);
            // Inline modules have folders of their own.
            let inside: PathBuf = module[..module.len() - 1]
                .iter()
                .skip(folder.components().count())
                .collect();
            let folder = folder.join(inside);
            let candidates = [
                folder.join(format!("{name}.rs")),
                folder.join(name).join("mod.rs"),
            ];
            let found = candidates
                .iter()
                .find_map(|path| sources.get_key_value(path));
            if let Some((path, source)) = found {
                self.file(sources, path, &folder.join(name), module, source);
            }
        }
    }

    /// Every path of one file that leads to another.
    pub(super) fn imports(&self) -> Vec<Import> {
        let mut imports = Vec::new();
        for (path, module) in &self.modules {
            let used = module.uses.iter().filter(|used| {
                let is_used = |name: &String| module.words.contains(name);
                !used.is_public || used.name.as_ref().is_none_or(is_used)
            });
            let written = used.map(|used| &used.path).chain(&module.paths);
            for written in written {
                if let Some(to) = self.target(path, &written.segments, 0)
                    && to != module.file
                {
                    imports.push(Import {
                        from: module.file.clone(),
                        line: written.line,
                        to,
                        path: written.segments.join("::"),
                    });
                }
            }
        }
        imports
    }

    /// The file that defines what a path in a module leads to; none outside of the crate.
    fn target(&self, from: &ModulePath, segments: &[String], followed: usize) -> Option<PathBuf> {
        let (first, mut rest) = segments.split_first()?;
        let mut module = from.clone();
        match first.as_str() {
            "crate" => module.clear(),
            "self" => {}
            "super" => drop(module.pop()),
            name => {
                module.push(name.to_owned());
                if !self.modules.contains_key(&module) {
                    return None;
                }
            }
        }
        while let Some((next, after)) = rest.split_first() {
            match next.as_str() {
                "super" => drop(module.pop()),
                "self" => {}
                name => {
                    module.push(name.to_owned());
                    if !self.modules.contains_key(&module) {
                        module.pop();
                        break;
                    }
                }
            }
            rest = after;
        }
        let found = self.modules.get(&module)?;
        // A re-export; more than a few in a row lead nowhere.
        if let Some((item, after)) = rest.split_first()
            && let Some(used) = found
                .uses
                .iter()
                .find(|used| used.name.as_ref() == Some(item))
            && followed < 8
        {
            let mut on = used.path.segments.clone();
            on.extend(after.iter().cloned());
            return self.target(&module, &on, followed + 1);
        }
        Some(found.file.clone())
    }
}

/// Reads the tokens of a file.
struct Reader<'a> {
    krate: &'a mut Crate,
    file: &'a Path,
    tokens: &'a [Token<'a>],
    at: usize,
    /// Modules in other files.
    declared: Vec<ModulePath>,
}

impl Reader<'_> {
    /// Reads a module up to its end.
    fn module(&mut self, path: ModulePath) {
        let mut module = Module {
            file: self.file.to_owned(),
            uses: Vec::new(),
            paths: Vec::new(),
            words: BTreeSet::new(),
        };
        let mut depth = 0;
        let mut is_public = false;
        while let Some(token) = self.tokens.get(self.at) {
            self.at += 1;
            match token.text {
                "{" => depth += 1,
                "}" if depth == 0 => break,
                "}" => depth -= 1,
                "pub" => {
                    is_public = true;
                    if is(self.tokens, self.at, "(") {
                        self.at = closing(self.tokens, self.at) + 1;
                    }
                }
                ";" => is_public = false,
                "fn" | "struct" | "enum" | "trait" | "impl" | "const" | "static" | "type" => {
                    is_public = false;
                }
                "mod" if is(self.tokens, self.at + 1, ";") => {
                    self.declared.push(self.child(&path));
                }
                "mod" if is(self.tokens, self.at + 1, "{") => {
                    let child = self.child(&path);
                    self.at += 2;
                    self.module(child);
                }
                "use" => {
                    let mut uses = Vec::new();
                    self.tree(
                        &PathUse {
                            segments: Vec::new(),
                            line: token.line,
                        },
                        &mut uses,
                    );
                    module.uses.extend(uses.into_iter().map(|(name, path)| Use {
                        name,
                        path,
                        is_public,
                    }));
                    is_public = false;
                }
                _ => self.path(&mut module),
            }
        }
        self.krate.modules.insert(path, module);
    }

    fn child(&self, path: &ModulePath) -> ModulePath {
        let name = self.tokens[self.at].text.to_owned();
        path.iter().cloned().chain([name]).collect()
    }

    /// Reads a path, or one token that is none.
    fn path(&mut self, module: &mut Module) {
        let first = self.tokens[self.at - 1];
        module.words.insert(first.text.to_owned());
        // The rest of a path that begins with something else, such as `<T>::new`.
        let is_rest =
            self.at >= 3 && is(self.tokens, self.at - 2, ":") && is(self.tokens, self.at - 3, ":");
        let mut segments = vec![first.text.to_owned()];
        while self.separated() && !is_sign(self.tokens.get(self.at + 2)) {
            let next = self.tokens[self.at + 2].text;
            module.words.insert(next.to_owned());
            segments.push(next.to_owned());
            self.at += 3;
        }
        if segments.len() > 1 && !is_rest {
            let line = first.line;
            module.paths.push(PathUse { segments, line });
        }
    }

    fn separated(&self) -> bool {
        is(self.tokens, self.at, ":") && is(self.tokens, self.at + 1, ":")
    }

    /// Reads a tree of names up to its end.
    fn tree(&mut self, prefix: &PathUse, uses: &mut Vec<(Option<String>, PathUse)>) {
        let mut path = prefix.clone();
        let mut name = None;
        while let Some(token) = self.tokens.get(self.at) {
            match token.text {
                ";" | "," | "}" => break,
                "{" => {
                    self.at += 1;
                    while !is(self.tokens, self.at, "}") && self.at < self.tokens.len() {
                        let before = self.at;
                        self.tree(&path, uses);
                        if is(self.tokens, self.at, ",") || self.at == before {
                            self.at += 1;
                        }
                    }
                    self.at += 1;
                    return;
                }
                "*" => {
                    uses.push((None, path.clone()));
                    self.at += 1;
                    return;
                }
                "as" => {
                    name = self
                        .tokens
                        .get(self.at + 1)
                        .map(|token| token.text.to_owned());
                    self.at += 1;
                }
                ":" => {}
                // `use a::{self}` names the module.
                "self" if !path.segments.is_empty() => {}
                word => {
                    path.segments.push(word.to_owned());
                    path.line = token.line;
                }
            }
            self.at += 1;
        }
        if !path.segments.is_empty() {
            let name = name.or_else(|| path.segments.last().cloned());
            uses.push((name, path));
        }
    }
}

fn is_sign(token: Option<&Token<'_>>) -> bool {
    token.is_none_or(|token| {
        !token
            .text
            .starts_with(|c: char| c.is_alphanumeric() || c == '_')
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Imports as `from:line to`.
    fn imports(files: &[(&str, &str)]) -> Vec<String> {
        let sources = files
            .iter()
            .map(|(path, source)| (PathBuf::from(path), (*source).to_owned()))
            .collect();
        let krate = Crate::read(&sources, Path::new("lib.rs")).expect("a root");
        let mut found: Vec<String> = (krate.imports().iter())
            .map(|import| {
                let (from, to) = (import.from.display(), import.to.display());
                format!("{from}:{} {to}", import.line)
            })
            .collect();
        found.sort();
        found
    }

    #[test]
    fn paths_lead_to_the_file_that_defines_the_item() {
        let files = [
            (
                "lib.rs",
                "mod a; pub mod b; mod d { pub mod e; } pub use b::c::C;",
            ),
            (
                "a.rs",
                "use crate::b::{self, B};\nuse crate::b::c::*;\nfn f(x: crate::C) { std::a::b() }",
            ),
            (
                "b/mod.rs",
                "pub(crate) mod c;\npub use c::{C as D, F};\nstruct B(F);",
            ),
            (
                "b/c.rs",
                "use super::B;\nuse super::super::d::e::E as G;\npub(in crate::a) fn c() {}",
            ),
            (
                "d/e.rs",
                "use crate::b::D;\n#[cfg(test)] mod tests { use crate::a::A; }",
            ),
        ];
        assert_eq!(
            imports(&files),
            [
                "a.rs:1 b/mod.rs",
                "a.rs:1 b/mod.rs",
                "a.rs:2 b/c.rs",
                "a.rs:3 b/c.rs",
                "b/c.rs:1 b/mod.rs",
                "b/c.rs:2 d/e.rs",
                "b/mod.rs:2 b/c.rs",
                "d/e.rs:1 b/c.rs",
            ]
        );
    }
}
