//! The profile of LUBM's generator (UBA 1.7): the ranges of its counts and choices.
//!
//! Source: Guo, Pan, Heflin, "LUBM: A Benchmark for OWL Knowledge Base Systems", Journal of Web Semantics 3 (2005), and
//! the data profile published with the generator.

use std::ops::RangeInclusive;

/// Of each university.
pub const DEPARTMENTS: RangeInclusive<u64> = 15..=25;

/// The number of universities that may have granted a degree, generated or not.
pub const UNIVERSITIES_KNOWN: u64 = 1000;
/// Topics that professors may be interested in.
pub const TOPICS: u64 = 30;

/// Of each department.
pub const RESEARCH_GROUPS: RangeInclusive<u64> = 10..=20;
/// Students for each member of the faculty.
pub const UNDERGRADUATES_PER_FACULTY: RangeInclusive<u64> = 8..=14;
pub const GRADUATES_PER_FACULTY: RangeInclusive<u64> = 3..=4;
/// Graduate students for each assistant of a kind.
pub const GRADUATES_PER_TEACHING_ASSISTANT: RangeInclusive<u64> = 4..=5;
pub const GRADUATES_PER_RESEARCH_ASSISTANT: RangeInclusive<u64> = 3..=4;

/// Courses that a member of the faculty teaches, of either level.
pub const COURSES_TAUGHT: RangeInclusive<u64> = 1..=2;
pub const COURSES_OF_UNDERGRADUATE: RangeInclusive<u64> = 2..=4;
pub const COURSES_OF_GRADUATE: RangeInclusive<u64> = 1..=3;
/// One in so many undergraduates has an advisor; each graduate student has.
pub const UNDERGRADUATES_PER_ADVISED: u64 = 5;
/// Publications that a graduate student takes part in.
pub const PUBLICATIONS_OF_GRADUATE: RangeInclusive<u64> = 0..=5;

/// A rank of the faculty.
pub struct Rank {
    pub class: &'static str,
    /// Of each department.
    pub count: RangeInclusive<u64>,
    /// Publications of each.
    pub publications: RangeInclusive<u64>,
    /// Professors have an interest in research and advise students.
    pub is_professor: bool,
}

/// The faculty, in the order of its generation; the head of a department is one of the first rank.
pub const RANKS: [Rank; 4] = [
    Rank { class: "FullProfessor", count: 7..=10, publications: 15..=20, is_professor: true },
    Rank { class: "AssociateProfessor", count: 10..=14, publications: 10..=18, is_professor: true },
    Rank { class: "AssistantProfessor", count: 8..=11, publications: 5..=10, is_professor: true },
    Rank { class: "Lecturer", count: 5..=7, publications: 0..=5, is_professor: false },
];
