//! Generates one department: its people, their courses and publications.
//!
//! The sizes are drawn first, because the number of students depends on the faculty and the number of assistants on the
//! students.

use super::profile::{self, RANKS, Rank};
use super::{kind, term, university};
use crate::ntriples::Writer;
use entail_model::random::Random;
use std::io;
use std::ops::RangeInclusive;

const TELEPHONE: &str = "xxx-xxx-xxxx";

/// The sizes of a department.
pub struct Department {
    university: u64,
    index: u64,
    iri: String,
    /// The number of members of each of [`RANKS`].
    faculty: [u64; 4],
    undergraduates: u64,
    graduates: u64,
    teaching_assistants: u64,
    research_assistants: u64,
    research_groups: u64,
    /// The index of the full professor who heads the department.
    head: u64,
}

/// The entities generated so far.
#[derive(Default)]
struct Made {
    courses: u64,
    graduate_courses: u64,
    publications: Vec<Publication>,
}

struct Publication {
    author: String,
    index: u64,
    /// The numbers of the graduate students.
    students: Vec<u64>,
}

impl Department {
    pub fn new(university: u64, index: u64, random: &mut Random) -> Self {
        let faculty = RANKS.map(|rank| random.among(rank.count));
        let members: u64 = faculty.iter().sum();
        let times = |range: RangeInclusive<u64>, random: &mut Random| {
            random.among(range.start() * members..=range.end() * members)
        };
        let undergraduates = times(profile::UNDERGRADUATES_PER_FACULTY, random);
        let graduates = times(profile::GRADUATES_PER_FACULTY, random);
        let share = |range: RangeInclusive<u64>, random: &mut Random| {
            random.among(graduates / range.end()..=graduates / range.start())
        };
        Self {
            university,
            index,
            iri: format!("http://www.Department{index}.University{university}.edu"),
            faculty,
            undergraduates,
            graduates,
            teaching_assistants: share(profile::GRADUATES_PER_TEACHING_ASSISTANT, random),
            research_assistants: share(profile::GRADUATES_PER_RESEARCH_ASSISTANT, random),
            research_groups: random.among(profile::RESEARCH_GROUPS),
            head: random.below(faculty[0]),
        }
    }

    /// Writes all triples of the department.
    pub fn write(&self, random: &mut Random, out: &mut Writer<'_>) -> io::Result<()> {
        let mut made = Made::default();
        self.describe(out)?;
        for (place, rank) in RANKS.iter().enumerate() {
            for number in 0..self.faculty[place] {
                self.teacher(rank, number, &mut made, random, out)?;
            }
        }
        for number in 0..self.undergraduates {
            self.undergraduate(number, &made, random, out)?;
        }
        for number in 0..self.graduates {
            self.graduate(number, &mut made, random, out)?;
        }
        self.publications(&made, out)?;
        self.courses(&made, out)?;
        self.assistants(&made, random, out)
    }

    fn describe(&self, out: &mut Writer<'_>) -> io::Result<()> {
        kind(out, &self.iri, "Department")?;
        out.text(&self.iri, &term("name"), &format!("Department{}", self.index))?;
        out.link(&self.iri, &term("subOrganizationOf"), &university(self.university))?;
        for number in 0..self.research_groups {
            let group = self.member("ResearchGroup", number);
            kind(out, &group, "ResearchGroup")?;
            out.link(&group, &term("subOrganizationOf"), &self.iri)?;
        }
        Ok(())
    }

    fn teacher(
        &self,
        rank: &Rank,
        number: u64,
        made: &mut Made,
        random: &mut Random,
        out: &mut Writer<'_>,
    ) -> io::Result<()> {
        let person = self.member(rank.class, number);
        kind(out, &person, rank.class)?;
        for (class, taught) in [("Course", &mut made.courses), ("GraduateCourse", &mut made.graduate_courses)] {
            for _ in 0..random.among(profile::COURSES_TAUGHT) {
                // Each course has one teacher, so courses are assigned in sequence.
                out.link(&person, &term("teacherOf"), &self.member(class, *taught))?;
                *taught += 1;
            }
        }
        for degree in ["undergraduateDegreeFrom", "mastersDegreeFrom", "doctoralDegreeFrom"] {
            degree_from(&person, degree, random, out)?;
        }
        out.link(&person, &term("worksFor"), &self.iri)?;
        self.contact(&person, rank.class, number, out)?;
        if rank.is_professor {
            let topic = format!("Research{}", random.below(profile::TOPICS));
            out.text(&person, &term("researchInterest"), &topic)?;
        }
        if rank.class == RANKS[0].class && number == self.head {
            out.link(&person, &term("headOf"), &self.iri)?;
        }
        for index in 0..random.among(rank.publications.clone()) {
            made.publications.push(Publication { author: person.clone(), index, students: Vec::new() });
        }
        Ok(())
    }

    fn undergraduate(&self, number: u64, made: &Made, random: &mut Random, out: &mut Writer<'_>) -> io::Result<()> {
        let person = self.student("UndergraduateStudent", number, out)?;
        let count = random.among(profile::COURSES_OF_UNDERGRADUATE);
        for course in random.sample(count, made.courses) {
            out.link(&person, &term("takesCourse"), &self.member("Course", course))?;
        }
        if random.below(profile::UNDERGRADUATES_PER_ADVISED) == 0 {
            self.advisor(&person, random, out)?;
        }
        Ok(())
    }

    fn graduate(&self, number: u64, made: &mut Made, random: &mut Random, out: &mut Writer<'_>) -> io::Result<()> {
        let person = self.student("GraduateStudent", number, out)?;
        let count = random.among(profile::COURSES_OF_GRADUATE);
        for course in random.sample(count, made.graduate_courses) {
            out.link(&person, &term("takesCourse"), &self.member("GraduateCourse", course))?;
        }
        degree_from(&person, "undergraduateDegreeFrom", random, out)?;
        self.advisor(&person, random, out)?;
        let count = random.among(profile::PUBLICATIONS_OF_GRADUATE);
        for publication in random.sample(count, made.publications.len() as u64) {
            made.publications[publication as usize].students.push(number);
        }
        Ok(())
    }

    fn student(&self, class: &str, number: u64, out: &mut Writer<'_>) -> io::Result<String> {
        let person = self.member(class, number);
        kind(out, &person, class)?;
        out.link(&person, &term("memberOf"), &self.iri)?;
        self.contact(&person, class, number, out)?;
        Ok(person)
    }

    fn contact(&self, person: &str, class: &str, number: u64, out: &mut Writer<'_>) -> io::Result<()> {
        let email = format!("{class}{number}@Department{}.University{}.edu", self.index, self.university);
        out.text(person, &term("name"), &format!("{class}{number}"))?;
        out.text(person, &term("emailAddress"), &email)?;
        out.text(person, &term("telephone"), TELEPHONE)
    }

    /// A random professor: first the rank, then a member of that rank.
    fn advisor(&self, person: &str, random: &mut Random, out: &mut Writer<'_>) -> io::Result<()> {
        let ranks = RANKS.iter().filter(|rank| rank.is_professor).count() as u64;
        let rank = random.below(ranks) as usize;
        let number = random.below(self.faculty[rank]);
        out.link(person, &term("advisor"), &self.member(RANKS[rank].class, number))
    }

    fn publications(&self, made: &Made, out: &mut Writer<'_>) -> io::Result<()> {
        for Publication { author, index, students } in &made.publications {
            let publication = format!("{author}/Publication{index}");
            kind(out, &publication, "Publication")?;
            out.text(&publication, &term("name"), &format!("Publication{index}"))?;
            out.link(&publication, &term("publicationAuthor"), author)?;
            for student in students {
                out.link(&publication, &term("publicationAuthor"), &self.member("GraduateStudent", *student))?;
            }
        }
        Ok(())
    }

    fn courses(&self, made: &Made, out: &mut Writer<'_>) -> io::Result<()> {
        for (class, count) in [("Course", made.courses), ("GraduateCourse", made.graduate_courses)] {
            for number in 0..count {
                let course = self.member(class, number);
                kind(out, &course, class)?;
                out.text(&course, &term("name"), &format!("{class}{number}"))?;
            }
        }
        Ok(())
    }

    /// No student is an assistant of both kinds, and no course has two assistants.
    fn assistants(&self, made: &Made, random: &mut Random, out: &mut Writer<'_>) -> io::Result<()> {
        let count = self.teaching_assistants + self.research_assistants;
        let people = random.sample(count, self.graduates);
        let (teaching, research) = people.split_at(self.teaching_assistants as usize);
        let courses = random.sample(self.teaching_assistants, made.courses);
        for (person, course) in teaching.iter().zip(courses) {
            let person = self.member("GraduateStudent", *person);
            kind(out, &person, "TeachingAssistant")?;
            out.link(&person, &term("teachingAssistantOf"), &self.member("Course", course))?;
        }
        for person in research {
            kind(out, &self.member("GraduateStudent", *person), "ResearchAssistant")?;
        }
        Ok(())
    }

    /// The IRI of an entity of this department.
    fn member(&self, class: &str, number: u64) -> String {
        format!("{}/{class}{number}", self.iri)
    }
}

fn degree_from(person: &str, degree: &str, random: &mut Random, out: &mut Writer<'_>) -> io::Result<()> {
    let from = university(random.below(profile::UNIVERSITIES_KNOWN));
    out.link(person, &term(degree), &from)?;
    kind(out, &from, "University")
}
