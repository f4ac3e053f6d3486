//! Checks the generator's output against the published profile.

#![allow(clippy::unwrap_used, reason = "what cannot be unwrapped fails the test")]

use super::profile::{self, RANKS};
use super::*;
use crate::workload::SEED;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::ops::RangeInclusive;

fn text(universities: u32, seed: u64) -> String {
    let mut bytes = Vec::new();
    let lines = Lubm { universities, seed }.write(&mut bytes).unwrap();
    let text = String::from_utf8(bytes).unwrap();
    assert_eq!(text.lines().count() as u64, lines);
    text
}

/// Subject, local name of the predicate, object; of both IRIs the text between the brackets.
fn triples(text: &str) -> Vec<(&str, &str, &str)> {
    text.lines()
        .map(|line| {
            let mut parts = line.strip_suffix(" .").unwrap().splitn(3, ' ');
            let mut part = || parts.next().unwrap().trim_start_matches('<').trim_end_matches('>');
            let (subject, predicate, object) = (part(), part(), part());
            (subject, predicate.rsplit('#').next().unwrap(), object.strip_prefix(NAMESPACE).unwrap_or(object))
        })
        .collect()
}

#[test]
fn a_seed_gives_the_same_bytes_and_universities_add_up() {
    let one = text(1, 4);
    assert_eq!(one, text(1, 4));
    assert_ne!(one, text(1, 5));
    assert!(text(2, 4).starts_with(&one));
}

#[test]
fn departments_are_within_the_profile() {
    let text = text(2, 0);
    let triples = triples(&text);
    // For each department, how many of each class it has; people are counted by the class in their names.
    let mut departments: BTreeMap<&str, HashMap<&str, u64>> = BTreeMap::new();
    for (subject, predicate, object) in &triples {
        if *predicate == "type" && *object != "University" {
            let department = subject.strip_prefix("http://").unwrap().split('/').next().unwrap();
            *departments.entry(department).or_default().entry(object).or_default() += 1;
        }
    }
    let count = departments.len() as u64;
    assert!((profile::DEPARTMENTS.start() * 2..=profile::DEPARTMENTS.end() * 2).contains(&count), "{count}");
    for (department, classes) in &departments {
        let count = |class: &str| classes.get(class).copied().unwrap_or_default();
        let within = |class: &str, least: u64, most: u64| {
            assert!((least..=most).contains(&count(class)), "{department}: {} of {class}", count(class));
        };
        let of = |class: &str, range: &RangeInclusive<u64>, unit: u64| {
            within(class, range.start() * unit, range.end() * unit);
        };
        for rank in &RANKS {
            of(rank.class, &rank.count, 1);
        }
        let faculty: u64 = RANKS.iter().map(|rank| count(rank.class)).sum();
        of("UndergraduateStudent", &profile::UNDERGRADUATES_PER_FACULTY, faculty);
        of("GraduateStudent", &profile::GRADUATES_PER_FACULTY, faculty);
        of("ResearchGroup", &profile::RESEARCH_GROUPS, 1);
        of("Course", &profile::COURSES_TAUGHT, faculty);
        of("GraduateCourse", &profile::COURSES_TAUGHT, faculty);
        let graduates = count("GraduateStudent");
        within("TeachingAssistant", graduates / 5, graduates / 4);
        within("ResearchAssistant", graduates / 4, graduates / 3);
        let papers = |end: fn(&RangeInclusive<u64>) -> u64| -> u64 {
            RANKS.iter().map(|rank| count(rank.class) * end(&rank.publications)).sum()
        };
        within("Publication", papers(|range| *range.start()), papers(|range| *range.end()));
    }
}

#[test]
fn people_are_within_the_profile() {
    let text = text(1, 0);
    let triples = triples(&text);
    let mut seen: HashMap<(&str, &str), u64> = HashMap::new();
    let mut classes: HashMap<&str, HashSet<&str>> = HashMap::new();
    for (subject, predicate, object) in &triples {
        match *predicate {
            "type" => {
                classes.entry(object).or_default().insert(subject);
            }
            predicate => *seen.entry((subject, predicate)).or_default() += 1,
        }
    }
    let each = |class: &str, property: &str, range: RangeInclusive<u64>| {
        for person in &classes[class] {
            let count = seen.get(&(*person, property)).copied().unwrap_or_default();
            assert!(range.contains(&count), "{person} has {count} of {property}");
        }
    };
    each("UndergraduateStudent", "takesCourse", profile::COURSES_OF_UNDERGRADUATE);
    each("GraduateStudent", "takesCourse", profile::COURSES_OF_GRADUATE);
    each("GraduateStudent", "advisor", 1..=1);
    each("GraduateStudent", "undergraduateDegreeFrom", 1..=1);
    each("TeachingAssistant", "teachingAssistantOf", 1..=1);
    for rank in &RANKS {
        each(rank.class, "teacherOf", 2..=4);
        each(rank.class, "doctoralDegreeFrom", 1..=1);
        each(rank.class, "worksFor", 1..=1);
        each(rank.class, "researchInterest", u64::from(rank.is_professor)..=u64::from(rank.is_professor));
    }
    for class in ["UndergraduateStudent", "GraduateStudent", "Lecturer"] {
        for property in ["name", "emailAddress", "telephone"] {
            each(class, property, 1..=1);
        }
    }
    let advised = classes["UndergraduateStudent"].iter().filter(|person| seen.contains_key(&(**person, "advisor")));
    let (advised, all) = (advised.count() as f64, classes["UndergraduateStudent"].len() as f64);
    assert!((0.17..0.23).contains(&(advised / all)), "one in five has an advisor: {advised} of {all}");
    assert!(classes["TeachingAssistant"].is_disjoint(&classes["ResearchAssistant"]));
    let heads = triples.iter().filter(|triple| triple.1 == "headOf").count();
    assert_eq!(heads, classes["Department"].len());
}

#[test]
fn ten_universities_are_as_many_triples_as_published() {
    let lines = Lubm { universities: 10, seed: SEED }.write(&mut io::sink()).unwrap();
    assert!((1_280_000..1_350_000).contains(&lines), "{lines}");
}
