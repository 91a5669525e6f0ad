//! Which Python files a Python file reads.
//!
//! Nothing is run and nothing is parsed in full: what looks like an import is
//! taken for one, and a file that imports by name at run time depends on
//! everything. So a change may be thought to touch more than it does, never less.

use std::collections::{BTreeMap, BTreeSet};

/// What a file imports.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Imports {
    /// `flights.features`, with leading dots where it is relative.
    modules: BTreeSet<String>,
    /// It decides at run time.
    dynamic: bool,
}

/// What decides at run time what is imported or run.
const DYNAMIC: [&str; 7] = [
    "importlib",
    "__import__",
    "runpy",
    "exec(",
    "dbutils.notebook.run",
    "pkgutil",
    "pytest_plugins",
];

pub(super) fn imports(text: &str) -> Imports {
    let mut found =
        Imports { dynamic: DYNAMIC.iter().any(|word| text.contains(word)), ..Imports::default() };
    // A logical line may go over several: in parentheses, or after a backslash.
    let mut pending = String::new();
    for line in text.lines() {
        let line = line.split('#').next().unwrap_or(line);
        if !pending.is_empty() {
            pending.push(' ');
        }
        pending.push_str(line.trim());
        if let Some(rest) = pending.strip_suffix('\\') {
            pending = rest.to_owned();
            continue;
        }
        let is_import = pending.starts_with("from ") || pending.starts_with("import ");
        let is_open = pending.matches('(').count() > pending.matches(')').count();
        // An import's parentheses are short; a text that looks like one is not.
        if is_import && is_open && pending.len() < 10_000 {
            continue;
        }
        for statement in pending.split(';') {
            statement_imports(statement.trim(), &mut found.modules);
        }
        pending.clear();
    }
    for line in text.lines() {
        // A `#` above may have stood in a text.
        for statement in line.split(';') {
            statement_imports(statement.trim(), &mut found.modules);
        }
        // `%run ./other` in a notebook.
        if let Some(path) = line.trim_start_matches("# MAGIC").trim().strip_prefix("%run ") {
            let name = path.trim().trim_matches('"').rsplit('/').next().unwrap_or_default();
            found.modules.insert(name.trim_end_matches(".py").to_owned());
        }
    }
    found
}

fn statement_imports(statement: &str, modules: &mut BTreeSet<String>) {
    // `if x: import a`, `try: from a import b`
    let statement = match statement.split_once(": ") {
        Some((_, rest)) if rest.starts_with("import ") || rest.starts_with("from ") => rest,
        _ => statement,
    };
    if let Some(list) = statement.strip_prefix("import ") {
        for item in list.split(',') {
            let module = item.split(" as ").next().unwrap_or(item).trim();
            if is_dotted(module) {
                modules.insert(module.to_owned());
            }
        }
    } else if let Some(rest) = statement.strip_prefix("from ")
        && let Some((module, names)) = rest.split_once(" import")
    {
        let module = module.trim();
        if !is_dotted(module.trim_start_matches('.')) && !module.chars().all(|c| c == '.') {
            return;
        }
        modules.insert(module.to_owned());
        // What is imported may be a module of its own.
        for name in names.split([',', '(', ')']) {
            let name = name.split(" as ").next().unwrap_or(name).trim();
            if is_dotted(name) {
                let dot = if module.ends_with('.') { "" } else { "." };
                modules.insert(format!("{module}{dot}{name}"));
            }
        }
    }
}

fn is_dotted(text: &str) -> bool {
    let is_word = |part: &str| {
        !part.is_empty() && part.chars().all(|char| char.is_alphanumeric() || char == '_')
    };
    text.split('.').all(is_word)
}

/// Every file that `start` reads, itself included. `files` are the Python
/// files by path.
pub(super) fn reached<'a>(
    start: &'a str,
    files: &'a BTreeMap<String, Imports>,
) -> BTreeSet<&'a str> {
    let mut found = BTreeSet::from([start]);
    let mut waiting = vec![start];
    while let Some(path) = waiting.pop() {
        let Some(imports) = files.get(path) else { continue };
        if imports.dynamic {
            found.extend(files.keys().map(String::as_str));
            return found;
        }
        for module in &imports.modules {
            for other in candidates(path, module, files) {
                if found.insert(other) {
                    waiting.push(other);
                }
            }
        }
    }
    found
}

/// The files that a module's name may stand for, its packages among them.
fn candidates<'a>(from: &str, module: &str, files: &'a BTreeMap<String, Imports>) -> Vec<&'a str> {
    let dots = module.chars().take_while(|char| *char == '.').count();
    let mut base = from;
    for _ in 0..dots {
        base = base.rsplit_once('/').map_or("", |(folder, _)| folder);
    }
    let mut found = Vec::new();
    let parts: Vec<&str> = module[dots..].split('.').filter(|part| !part.is_empty()).collect();
    for length in 1..=parts.len() {
        let path = parts[..length].join("/");
        for ending in [format!("{path}.py"), format!("{path}/__init__.py")] {
            let tail = format!("/{ending}");
            let relative =
                if base.is_empty() { ending.clone() } else { format!("{base}/{ending}") };
            found.extend(files.keys().map(String::as_str).filter(|file| {
                if dots > 0 { *file == relative } else { *file == ending || file.ends_with(&tail) }
            }));
        }
    }
    if dots > 0 && parts.is_empty() {
        let own = format!("{base}/__init__.py");
        found.extend(files.keys().map(String::as_str).filter(|file| *file == own));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn modules(text: &str) -> Vec<String> {
        imports(text).modules.into_iter().collect()
    }

    #[test]
    fn every_form_of_import_is_seen() {
        assert_eq!(modules("import a, b.c as d\n"), ["a", "b.c"]);
        assert_eq!(
            modules("from a.b import (\n    c,  # one\n    d as e,\n)\n"),
            ["a.b", "a.b.c", "a.b.d"]
        );
        assert_eq!(modules("from . import x\nfrom ..y import z\n"), [".", "..y", "..y.z", ".x"]);
        assert_eq!(modules("if True: import a\ntry: from b import c\n"), ["a", "b", "b.c"]);
        // The second half of a line is taken for an import of its own, too.
        assert_eq!(modules("x = 1; import a\nfrom b \\\n  import c\n"), ["a", "b", "b.c", "c"]);
        assert_eq!(modules("# MAGIC %run ./shared/setup\n"), ["setup"]);
        assert_eq!(modules("# import a\nimportant = 1\nfrom_ = 2\n"), Vec::<String>::new());
        assert!(imports("importlib.import_module(name)").dynamic);
    }

    #[test]
    fn files_are_reached_through_packages_and_folders() {
        let files: BTreeMap<String, Imports> = [
            ("ops/train.py", "from flights import model\nimport registry\n"),
            ("ops/score.py", "from registry import load\n"),
            ("ops/registry.py", ""),
            ("src/flights/__init__.py", ""),
            ("src/flights/model.py", "from .features import columns\n"),
            ("src/flights/features.py", "import numpy\n"),
            ("src/flights/unused.py", ""),
            ("ops/odd.py", "__import__('x')\n"),
        ]
        .into_iter()
        .map(|(path, text)| (path.to_owned(), imports(text)))
        .collect();
        let from = |start: &'static str| reached(start, &files).into_iter().collect::<Vec<_>>();
        assert_eq!(
            from("ops/train.py"),
            [
                "ops/registry.py",
                "ops/train.py",
                "src/flights/__init__.py",
                "src/flights/features.py",
                "src/flights/model.py"
            ]
        );
        assert_eq!(from("ops/score.py"), ["ops/registry.py", "ops/score.py"]);
        assert_eq!(from("ops/odd.py").len(), files.len());
    }

    proptest! {
        #[test]
        fn no_text_breaks_the_scanner(text in "(import |from | as |\\.|,|\\(|\\)|\\\\\n|\n|;|#|[a-z]|\\PC){0,60}") {
            let files = BTreeMap::from([("a.py".to_owned(), imports(&text))]);
            let _reached = reached("a.py", &files);
        }
    }
}
