//! LUBM: the rules of `rules/lubm.srl`, in the same order, and its queries.
//!
//! Changes of those rules must be repeated here; a test compares the derived facts.

use crate::lubm::term;
use crate::peer::Closed;
use crate::peer::facts::Facts;

ascent::ascent! {
    /// A relation for each class and property of the ontology.
    pub struct Ontology;

    relation administrative_staff(u32);
    relation article(u32);
    relation assistant_professor(u32);
    relation associate_professor(u32);
    relation book(u32);
    relation chair(u32);
    relation clerical_staff(u32);
    relation college(u32);
    relation conference_paper(u32);
    relation course(u32);
    relation dean(u32);
    relation department(u32);
    relation director(u32);
    relation employee(u32);
    relation faculty(u32);
    relation full_professor(u32);
    relation graduate_course(u32);
    relation graduate_student(u32);
    relation institute(u32);
    relation journal_article(u32);
    relation lecturer(u32);
    relation manual(u32);
    relation organization(u32);
    relation person(u32);
    relation post_doc(u32);
    relation professor(u32);
    relation program(u32);
    relation publication(u32);
    relation research(u32);
    relation research_assistant(u32);
    relation research_group(u32);
    relation schedule(u32);
    relation software(u32);
    relation specification(u32);
    relation student(u32);
    relation systems_staff(u32);
    relation teaching_assistant(u32);
    relation technical_report(u32);
    relation undergraduate_student(u32);
    relation university(u32);
    relation unofficial_publication(u32);
    relation visiting_professor(u32);
    relation work(u32);
    relation advisor(u32, u32);
    relation affiliated_organization_of(u32, u32);
    relation affiliate_of(u32, u32);
    relation age(u32, u32);
    relation degree_from(u32, u32);
    relation doctoral_degree_from(u32, u32);
    relation email_address(u32, u32);
    relation has_alumnus(u32, u32);
    relation head_of(u32, u32);
    relation listed_course(u32, u32);
    relation masters_degree_from(u32, u32);
    relation member(u32, u32);
    relation member_of(u32, u32);
    relation org_publication(u32, u32);
    relation publication_author(u32, u32);
    relation publication_date(u32, u32);
    relation publication_research(u32, u32);
    relation research_project(u32, u32);
    relation software_documentation(u32, u32);
    relation software_version(u32, u32);
    relation sub_organization_of(u32, u32);
    relation takes_course(u32, u32);
    relation teacher_of(u32, u32);
    relation teaching_assistant_of(u32, u32);
    relation telephone(u32, u32);
    relation tenured(u32, u32);
    relation title(u32, u32);
    relation undergraduate_degree_from(u32, u32);
    relation works_for(u32, u32);

    employee(x) <-- administrative_staff(x);
    publication(x) <-- article(x);
    professor(x) <-- assistant_professor(x);
    professor(x) <-- associate_professor(x);
    publication(x) <-- book(x);
    professor(x) <-- chair(x);
    administrative_staff(x) <-- clerical_staff(x);
    organization(x) <-- college(x);
    article(x) <-- conference_paper(x);
    work(x) <-- course(x);
    professor(x) <-- dean(x);
    organization(x) <-- department(x);
    person(x) <-- employee(x);
    person(x) <-- director(x);
    person(x) <-- chair(x);
    employee(x) <-- faculty(x);
    professor(x) <-- full_professor(x);
    course(x) <-- graduate_course(x);
    person(x) <-- graduate_student(x);
    organization(x) <-- institute(x);
    article(x) <-- journal_article(x);
    faculty(x) <-- lecturer(x);
    publication(x) <-- manual(x);
    faculty(x) <-- post_doc(x);
    faculty(x) <-- professor(x);
    organization(x) <-- program(x);
    work(x) <-- research(x);
    person(x) <-- research_assistant(x);
    organization(x) <-- research_group(x);
    publication(x) <-- software(x);
    publication(x) <-- specification(x);
    person(x) <-- student(x);
    administrative_staff(x) <-- systems_staff(x);
    person(x) <-- teaching_assistant(x);
    article(x) <-- technical_report(x);
    student(x) <-- undergraduate_student(x);
    organization(x) <-- university(x);
    publication(x) <-- unofficial_publication(x);
    professor(x) <-- visiting_professor(x);

    chair(x) <-- person(x), head_of(x, y), department(y);
    dean(x) <-- head_of(x, y), college(y);
    director(x) <-- person(x), head_of(x, y), program(y);
    employee(x) <-- person(x), works_for(x, y), organization(y);
    student(x) <-- person(x), takes_course(x, y), course(y);
    teaching_assistant(x) <-- person(x), teaching_assistant_of(x, y), course(y);

    degree_from(x, y) <-- doctoral_degree_from(x, y);
    works_for(x, y) <-- head_of(x, y);
    degree_from(x, y) <-- masters_degree_from(x, y);
    degree_from(x, y) <-- undergraduate_degree_from(x, y);
    member_of(x, y) <-- works_for(x, y);
    has_alumnus(y, x) <-- degree_from(x, y);
    degree_from(y, x) <-- has_alumnus(x, y);
    member(y, x) <-- member_of(x, y);
    member_of(y, x) <-- member(x, y);
    sub_organization_of(x, z) <-- sub_organization_of(x, y), sub_organization_of(y, z);

    person(x), professor(y) <-- advisor(x, y);
    organization(x), organization(y) <-- affiliated_organization_of(x, y);
    organization(x), person(y) <-- affiliate_of(x, y);
    person(x) <-- age(x, _);
    person(x), university(y) <-- degree_from(x, y);
    person(x), university(y) <-- doctoral_degree_from(x, y);
    person(x) <-- email_address(x, _);
    university(x), person(y) <-- has_alumnus(x, y);
    schedule(x), course(y) <-- listed_course(x, y);
    person(x), university(y) <-- masters_degree_from(x, y);
    organization(x), person(y) <-- member(x, y);
    organization(x), publication(y) <-- org_publication(x, y);
    publication(x), person(y) <-- publication_author(x, y);
    publication(x) <-- publication_date(x, _);
    publication(x), research(y) <-- publication_research(x, y);
    research_group(x), research(y) <-- research_project(x, y);
    software(x), publication(y) <-- software_documentation(x, y);
    software(x) <-- software_version(x, _);
    organization(x), organization(y) <-- sub_organization_of(x, y);
    faculty(x), course(y) <-- teacher_of(x, y);
    teaching_assistant(x), course(y) <-- teaching_assistant_of(x, y);
    person(x) <-- telephone(x, _);
    professor(x) <-- tenured(x, _);
    person(x) <-- title(x, _);
    person(x), university(y) <-- undergraduate_degree_from(x, y);
}

/// Invokes a macro for each class, with its relation and its name.
macro_rules! classes {
    ($do:ident $($arguments:ident)*) => {
        $do! { $($arguments)*;
                administrative_staff: "AdministrativeStaff", article: "Article",
                assistant_professor: "AssistantProfessor", associate_professor: "AssociateProfessor", book: "Book",
                chair: "Chair", clerical_staff: "ClericalStaff", college: "College",
                conference_paper: "ConferencePaper", course: "Course", dean: "Dean", department: "Department",
                director: "Director", employee: "Employee", faculty: "Faculty", full_professor: "FullProfessor",
                graduate_course: "GraduateCourse", graduate_student: "GraduateStudent", institute: "Institute",
                journal_article: "JournalArticle", lecturer: "Lecturer", manual: "Manual",
                organization: "Organization", person: "Person", post_doc: "PostDoc", professor: "Professor",
                program: "Program", publication: "Publication", research: "Research",
                research_assistant: "ResearchAssistant", research_group: "ResearchGroup", schedule: "Schedule",
                software: "Software", specification: "Specification", student: "Student",
                systems_staff: "SystemsStaff", teaching_assistant: "TeachingAssistant",
                technical_report: "TechnicalReport", undergraduate_student: "UndergraduateStudent",
                university: "University", unofficial_publication: "UnofficialPublication",
                visiting_professor: "VisitingProfessor", work: "Work"
        }
    };
}

/// Invokes a macro for each property.
macro_rules! properties {
    ($do:ident $($arguments:ident)*) => {
        $do! { $($arguments)*;
                advisor: "advisor", affiliated_organization_of: "affiliatedOrganizationOf",
                affiliate_of: "affiliateOf", age: "age", degree_from: "degreeFrom",
                doctoral_degree_from: "doctoralDegreeFrom", email_address: "emailAddress",
                has_alumnus: "hasAlumnus", head_of: "headOf", listed_course: "listedCourse",
                masters_degree_from: "mastersDegreeFrom", member: "member", member_of: "memberOf",
                org_publication: "orgPublication", publication_author: "publicationAuthor",
                publication_date: "publicationDate", publication_research: "publicationResearch",
                research_project: "researchProject", software_documentation: "softwareDocumentation",
                software_version: "softwareVersion", sub_organization_of: "subOrganizationOf",
                takes_course: "takesCourse", teacher_of: "teacherOf", teaching_assistant_of: "teachingAssistantOf",
                telephone: "telephone", tenured: "tenured", title: "title",
                undergraduate_degree_from: "undergraduateDegreeFrom", works_for: "worksFor"
        }
    };
}

macro_rules! take {
    ($ontology:ident $facts:ident $take:ident; $($relation:ident: $name:literal),*) => {
        $($ontology.$relation = $facts.$take(&term($name));)*
    };
}

macro_rules! sizes {
    ($ontology:ident; $($relation:ident: $name:literal),*) => {
        [$($ontology.$relation.len()),*]
    };
}

/// Computes the closure.
pub fn close(facts: &mut Facts<'_>) -> Ontology {
    let mut ontology = Ontology::default();
    classes!(take ontology facts take_members);
    properties!(take ontology facts take_pairs);
    ontology.run();
    ontology
}

impl Closed for Ontology {
    fn count(&self) -> u64 {
        let classes: usize = classes!(sizes self).iter().sum();
        let properties: usize = properties!(sizes self).iter().sum();
        (classes + properties) as u64
    }

    fn rows(self: Box<Self>, facts: &mut Facts<'_>) -> Vec<(String, u64)> {
        super::answers::rows(*self, facts)
    }
}
