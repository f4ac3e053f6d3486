//! Checks the demo's answers: rules and queries of `examples/debian` against a plain computation over the text of the
//! same control file, with a naive evaluation on small archives, and in a cluster.

#![allow(clippy::unwrap_used, reason = "what cannot be unwrapped fails the test")]

mod answers;
mod control;
mod naive;

use answers::{Plain, Table};
use entail_example_debian as debian;
use std::io::Read;
use std::path::{Path, PathBuf};

const RULES: &[&str] = &["needs", "requires", "conflicts", "trust"];
const QUERIES: &[&str] = &["needs", "breaks", "never", "hidden", "trust", "rests"];
/// The packages in the texts of the queries, which this test replaces, as the demo does.
const ASKED: &str = "openssh-server";
const GONE: &str = "liblzma5";

fn examples() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/debian")
}

fn example(name: &str) -> String {
    let path = examples().join(name);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn rules() -> Vec<String> {
    RULES.iter().map(|name| example(&format!("{name}.srl"))).collect()
}

/// The query of that name about these packages.
fn query(name: &str, asked: &str, gone: &str) -> String {
    let text = example(&format!("{name}.rq"));
    let asked_about = text.replace(&format!("pkg:{ASKED}"), &format!("<urn:debian:package:{asked}>"));
    asked_about.replace(&format!("pkg:{GONE}"), &format!("<urn:debian:package:{gone}>"))
}

/// The kept part of the archive, as text.
fn snapshot() -> String {
    let mut text = String::new();
    let mut input = debian::input::open(&examples().join("snapshot.packages.zst")).unwrap();
    input.read_to_string(&mut text).unwrap();
    text
}

fn triples(control: &str) -> Vec<u8> {
    let mut triples = Vec::new();
    debian::convert(control.as_bytes(), &mut triples).unwrap();
    triples
}

/// Compares all queries, and the sizes of all derived relations, with the plain computation.
fn check(control: &str, asked: &str, gone: &str, mut select: impl FnMut(&str) -> Table) {
    let plain = Plain::new(control::read(control));
    for (relation, size) in plain.sizes() {
        let count = format!("SELECT (COUNT(*) AS ?facts) WHERE {{ ?p <urn:debian:v:{relation}> ?q }}");
        assert_eq!(select(&count), [[size.to_string()]], "facts of {relation}");
    }
    for name in QUERIES {
        let expected = plain.answer(name, asked, gone);
        assert_eq!(select(&query(name, asked, gone)), expected, "the answer to {name}.rq");
    }
}

fn check_naively(control: &str, asked: &str, gone: &str) {
    let graph = naive::closure(&triples(control), &rules());
    check(control, asked, gone, |query| naive::select(query, &graph));
}

/// A small archive with all the difficult cases of the queries.
const SMALL: &str = "\
Package: mutt
Version: 2.2-1
Section: mail
Installed-Size: 700
Maintainer: Mutt Team <mutt@lists.example>
Pre-Depends: libc6 (>= 2.30)
Depends: libssl3:any, default-mta | mta, mime-support (>= 3)
Recommends: spell

Package: exim4
Version: 4.96-1
Section: mail
Maintainer: \"E. Xim\" <Exim@lists.example>
Depends: libc6, liblzma5
Provides: mta (= 4), default-mta
Conflicts: mta

Package: postfix
Version: 3.7
Section: mail
Installed-Size: 4000
Maintainer: Post <exim@lists.example>
Depends: libssl3 (>= 3), libc6
Provides: mta
Conflicts: mta, sendmail (<< 8)

Package: dash-mail
Version: 1
Depends: exim4

Package: bulk-mail
Version: 1
Installed-Size: 10
Depends: postfix (>= 3.7~), helper

Package: helper
Version: 1
Depends: bulk-mail | dash-mail, helper-data

Package: helper-data
Version: 1:0.9
Depends: helper (= 1)
Breaks: mutt (>= 2.2-1~)

Package: mailcap
Version: 5
Provides: mime-support (= 3.70)
Depends: nowhere

Package: oldcap
Version: 4
Provides: mime-support
Breaks: mailcap (<< 6), oldcap (<< 9)

Package: libc6
Version: 2.36-9+deb12u1
Architecture: amd64
Maintainer: Libc <libc@lists.example>
Depends: libgcc-s1

Package: libgcc-s1
Version: 12.2
Maintainer: Libc again <libc@lists.example>
Depends: libc6:amd64 (>= 2.14)

Package: libssl3
Version: 3.0
Depends: libc6:i386 | libc6 (>> 2.36-9), liblzma5 (>= 5~)

Package: liblzma5
Version: 5.4
Maintainer: Nobody
";

#[test]
fn the_rules_are_within_the_language() {
    for text in rules() {
        assert!(!entail_logic::rules::parse(&text).unwrap().rules.is_empty());
    }
}

#[test]
fn rules_and_queries_on_a_small_archive() {
    for asked in ["mutt", "bulk-mail", "exim4", "libc6", "liblzma5"] {
        for gone in ["liblzma5", "libc6", "postfix"] {
            check_naively(SMALL, asked, gone);
        }
    }
}

#[test]
fn a_few_answers_by_hand() {
    let plain = Plain::new(control::read(SMALL));
    let names = |query: &str, asked: &str, gone: &str| {
        plain.answer(query, asked, gone).into_iter().map(|row| row[0].clone()).collect::<Vec<_>>()
    };
    assert_eq!(names("needs", "exim4", "libc6"), ["libc6", "libgcc-s1", "liblzma5"]);
    assert_eq!(names("breaks", "exim4", "postfix"), ["bulk-mail"]);
    assert_eq!(names("trust", "dash-mail", "libc6"), ["E. Xim", "Libc", "Nobody"]);
    let never = plain.answer("never", "mutt", "mutt");
    for pair in [["exim4", "postfix"], ["bulk-mail", "dash-mail"], ["helper", "mutt"], ["helper-data", "mutt"]] {
        assert!(never.contains(&pair.map(str::to_owned).to_vec()), "{pair:?} is not in {never:?}");
    }
    assert!(!never.iter().any(|pair| pair.contains(&"libssl3".to_owned())));
}

/// A real part of the archive that is small enough for the naive evaluation.
#[test]
fn rules_and_queries_on_a_section_of_the_snapshot() {
    let mut intake = debian::archive::Intake::default();
    intake.read(snapshot().as_bytes()).unwrap();
    let part = intake.finish().part(&["shells".to_owned()]);
    let mut control = Vec::new();
    part.packages().for_each(|package| package.write_stanza(&mut control).unwrap());
    check_naively(&String::from_utf8(control).unwrap(), "bash", GONE);
}

/// The whole snapshot in a coordinator and three nodes, as in the demo.
#[test]
fn a_cluster_answers_the_demo_questions() {
    let control = snapshot();
    let cluster = entail_tests::cluster::Cluster::start(3, 16);
    cluster.load("snapshot.nt", triples(&control));
    for (name, text) in RULES.iter().zip(rules()) {
        cluster.apply(name, &text).unwrap();
    }
    check(&control, ASKED, GONE, |query| {
        let answer = cluster.query(query, entail_proto::v1::ResultFormat::Json).unwrap();
        naive::table(&answer)
    });
}
