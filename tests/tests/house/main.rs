//! Architecture tests: dependencies between crates, the owners of external dependencies, the interfaces that pure code
//! may not use, and banned text.
//!
//! The table of crates is the one that ARCHITECTURE.md shows; both must agree with the manifests.

#![allow(clippy::unwrap_used, reason = "what cannot be unwrapped fails the test")]

mod source;
mod tables;

use source::{Section, code, dependencies, folders, locked, members, names, offered, product, prose, sources, text};
use std::collections::{BTreeMap, BTreeSet};
use tables::{
    ABSENT, BANNED, EXCEPTIONS, LIBRARIES, NOT_IN_THE_PRODUCT, OWNED, PHRASES, PRODUCT, PURE, RETIRED, ROOMS, WORLD,
    WORLDLY,
};

fn owned(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

/// The workspace crates that a section of a manifest names, by their folders.
fn ours(folder: &str, section: Section) -> BTreeSet<String> {
    let folders = folders();
    dependencies(folder, section).iter().filter_map(|name| folders.get(name).cloned()).collect()
}

#[test]
fn crates_use_exactly_what_the_table_says() {
    for room in &ROOMS {
        let name = room.name;
        assert_eq!(ours(name, Section::Normal), owned(room.uses), "what {name} uses, and its row in the table");
        assert_eq!(ours(name, Section::Dev), owned(room.tests_use), "what {name}'s tests use, and its row");
    }
    let rows: BTreeSet<String> = ROOMS.iter().map(|room| room.name.to_owned()).collect();
    assert_eq!(members(), rows, "the table has a row for every crate");
}

/// The table of ARCHITECTURE.md: crate, its dependencies, additional dependencies of its tests (`; tests: …`).
fn documented() -> BTreeMap<String, (BTreeSet<String>, BTreeSet<String>)> {
    let page = text("ARCHITECTURE.md");
    let map = page.split("## Code map").nth(1).and_then(|rest| rest.split("\n## ").next()).unwrap();
    let set = |names: &str| names.split_whitespace().filter(|name| *name != "-").map(str::to_owned).collect();
    let row = |line: &str| {
        let cells: Vec<&str> = line.strip_prefix("| `")?.trim_end_matches('|').split(" | ").collect();
        let (uses, tests_use) = cells.last()?.split_once("; tests:").unwrap_or((cells.last()?, ""));
        Some((cells[0].trim_end_matches('`').to_owned(), (set(uses), set(tests_use))))
    };
    map.lines().filter_map(row).collect()
}

#[test]
fn the_architecture_page_has_the_same_table() {
    let row = |room: &tables::Room| (room.name.to_owned(), (owned(room.uses), owned(room.tests_use)));
    assert_eq!(documented(), ROOMS.iter().map(row).collect());
}

#[test]
fn the_product_links_no_peer_and_no_tool_of_tests() {
    let (folders, locked) = (folders(), locked());
    for start in PRODUCT {
        let mut open: Vec<String> = dependencies(start, Section::Normal).into_iter().collect();
        let mut reached = BTreeSet::new();
        while let Some(name) = open.pop() {
            assert!(!NOT_IN_THE_PRODUCT.contains(&name.as_str()), "{start} depends on {name}");
            if reached.insert(name.clone()) {
                // The lock file does not distinguish dependencies of a workspace crate's tests; the manifest does.
                let next = folders.get(&name).map(|folder| dependencies(folder, Section::Normal));
                open.extend(next.unwrap_or_else(|| locked[&name].clone()));
            }
        }
        assert!(start == "telemetry" || reached.len() > 5, "the walk from {start} goes on");
    }
}

/// Does the code have the path, and not as the end of a longer name?
fn names_word(code: &str, path: &str) -> bool {
    let is_within_name = |at: usize| code[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_');
    code.match_indices(path).any(|(at, _)| !is_within_name(at))
}

#[test]
fn pure_crates_do_not_touch_the_world() {
    let mut met = BTreeSet::new();
    for (path, text) in sources() {
        if !PURE.iter().any(|name| path.starts_with(&format!("{name}/src/"))) {
            continue;
        }
        let code = code(product(&path, &text));
        for (what, words) in WORLD {
            for word in words.iter().filter(|word| names_word(&code, word)) {
                let excepted = EXCEPTIONS.iter().any(|(file, allowed, _)| *file == path && allowed == word);
                assert!(excepted, "{path} touches {what} ({word}): let it come in as an argument");
                met.insert((path.clone(), *word));
            }
        }
    }
    for (file, word, _) in EXCEPTIONS {
        assert!(met.contains(&(file.to_owned(), word)), "{file} needs no exception for {word} any more");
    }
    for name in PURE {
        let worldly = dependencies(name, Section::Normal);
        let worldly: Vec<&String> = worldly.iter().filter(|name| WORLDLY.contains(&name.as_str())).collect();
        assert!(worldly.is_empty(), "{name} depends on {worldly:?}");
    }
}

#[test]
fn every_dependency_is_used() {
    let sources: BTreeMap<String, String> = sources().into_iter().map(|(path, text)| (path, code(&text))).collect();
    let mut unused = Vec::new();
    for room in &ROOMS {
        let is_used = |dependency: &str| {
            let library = LIBRARIES.iter().find(|(package, _)| *package == dependency);
            let name = library.map_or_else(|| dependency.replace('-', "_"), |(_, library)| (*library).to_owned());
            // Generated code names it.
            let is_generated = room.name == "proto" && name == "tonic_prost";
            let inside = format!("{}/", room.name);
            is_generated || sources.iter().any(|(path, code)| path.starts_with(&inside) && names(code, &name))
        };
        for section in [Section::Normal, Section::Dev] {
            let left = dependencies(room.name, section).into_iter().filter(|name| !is_used(name));
            unused.extend(left.map(|name| format!("{} of {}", name, room.name)));
        }
    }
    assert!(unused.is_empty(), "nothing uses {unused:?}");
    let sections = ROOMS.iter().flat_map(|room| [Section::Normal, Section::Dev].map(|section| (room.name, section)));
    let named: BTreeSet<String> = sections.flat_map(|(name, section)| dependencies(name, section)).collect();
    let left: Vec<String> = offered().difference(&named).cloned().collect();
    assert!(left.is_empty(), "no crate names {left:?} of the workspace");
}

#[test]
fn owned_dependencies_stay_where_they_are() {
    for (path, text) in sources() {
        let code = code(&text);
        for (dependency, owners) in OWNED {
            let is_owner = owners.iter().any(|owner| path.starts_with(owner));
            assert!(is_owner || !names(&code, dependency), "{path} may not name {dependency}");
        }
    }
}

#[test]
fn every_file_says_what_it_is_and_holds_nothing_banned() {
    for (path, text) in sources() {
        assert!(text.starts_with("//!"), "{path} does not open with //!");
        // The tables themselves contain the banned text.
        for (banned, instead) in BANNED.iter().filter(|_| path != "tests/tests/house/tables.rs") {
            assert!(!text.contains(banned), "{path} holds {banned}: use {instead}");
        }
    }
}

#[test]
fn comments_are_no_code() {
    let text = "//! a\nuse b::c; // d::\n/* e:: */ let f = \"// g\"; '\"'; // h\nr#\"\" // i\"#; fn j<'k>() {} // l\n";
    assert_eq!(code(text), "\nuse b::c; \n let f = \"// g\"; '\"'; \nr#\"\" // i\"#; fn j<'k>() {} \n");
    assert!(names("use b::c", "b") && names("b::c", "b") && names("use b;", "b"));
    assert!(!names("a_b::c", "b") && !names("a::b::c", "b") && !names("let b = 1", "b"));
    assert_eq!(product("x/src/y.rs", "a\n#[cfg(test)]\nmod tests {\nb }\n"), "a");
    assert_eq!(product("x/src/y/tests.rs", "a"), "");
}

#[test]
fn folders_stay_free_of_what_is_not_theirs() {
    for (folder, absent) in ABSENT {
        let files: Vec<_> = sources().into_iter().filter(|(path, _)| path.starts_with(folder)).collect();
        assert!(!files.is_empty(), "{folder} has no files");
        for (path, text) in files {
            for name in absent {
                assert!(!text.contains(name), "{path} names {name}");
            }
        }
    }
}

#[test]
fn retired_words_stay_retired() {
    let mut found = Vec::new();
    for (path, text) in sources() {
        for (retired, instead) in RETIRED {
            if !path.starts_with("tests/tests/house/") && words(&code(&text)).any(|word| word == retired) {
                found.push(format!("{path} says {retired}: say {instead}"));
            }
        }
    }
    assert!(found.is_empty(), "{found:#?}");
    assert!(words("let one = in_copies::<Door>(1);").any(|word| word == "Door"));
}

#[test]
fn prose_uses_the_words_of_the_field() {
    let mut found = Vec::new();
    for (path, text) in prose() {
        let words: Vec<String> = words(&text).map(str::to_lowercase).collect();
        let text = format!(" {} ", words.join(" "));
        for (phrase, instead) in PHRASES.iter().filter(|(phrase, _)| text.contains(&format!(" {phrase} "))) {
            found.push(format!("{path} says {phrase}: say {instead}"));
        }
    }
    assert!(found.is_empty(), "{found:#?}");
}

/// The identifiers and keywords of a text.
fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|letter: char| !letter.is_alphanumeric() && letter != '_').filter(|word| !word.is_empty())
}
