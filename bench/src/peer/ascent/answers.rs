//! LUBM's queries over the closure, in `ascent`: the number of rows of each, to check Entail's answers.

use super::lubm::Ontology;
use crate::lubm::term;
use crate::peer::facts::Facts;

ascent::ascent! {
    /// A relation for each query, over those of the ontology that they read.
    struct Answers;

    // Relations that the queries name.
    relation some_course(u32);
    relation some_assistant_professor(u32);
    relation some_associate_professor(u32);
    relation some_department(u32);
    relation some_university(u32);

    relation chair(u32);
    relation course(u32);
    relation department(u32);
    relation faculty(u32);
    relation graduate_student(u32);
    relation person(u32);
    relation professor(u32);
    relation publication(u32);
    relation research_group(u32);
    relation student(u32);
    relation undergraduate_student(u32);
    relation university(u32);
    relation advisor(u32, u32);
    relation email_address(u32, u32);
    relation has_alumnus(u32, u32);
    relation member_of(u32, u32);
    relation name(u32, u32);
    relation publication_author(u32, u32);
    relation sub_organization_of(u32, u32);
    relation takes_course(u32, u32);
    relation teacher_of(u32, u32);
    relation telephone(u32, u32);
    relation undergraduate_degree_from(u32, u32);
    relation works_for(u32, u32);

    relation q01(u32);
    relation q02(u32, u32, u32);
    relation q03(u32);
    relation q04(u32, u32, u32, u32);
    relation q05(u32);
    relation q06(u32);
    relation q07(u32, u32);
    relation q08(u32, u32, u32);
    relation q09(u32, u32, u32);
    relation q10(u32);
    relation q11(u32);
    relation q12(u32, u32);
    relation q13(u32);
    relation q14(u32);

    q01(x) <-- some_course(c), takes_course(x, c), graduate_student(x);
    q02(x, y, z) <-- graduate_student(x), undergraduate_degree_from(x, y), university(y),
        member_of(x, z), department(z), sub_organization_of(z, y);
    q03(x) <-- some_assistant_professor(a), publication_author(x, a), publication(x);
    q04(x, y1, y2, y3) <-- some_department(d), works_for(x, d), professor(x),
        name(x, y1), email_address(x, y2), telephone(x, y3);
    q05(x) <-- some_department(d), member_of(x, d), person(x);
    q06(x) <-- student(x);
    q07(x, y) <-- some_associate_professor(a), teacher_of(a, y), course(y), takes_course(x, y), student(x);
    q08(x, y, z) <-- some_university(u), sub_organization_of(y, u), department(y),
        member_of(x, y), student(x), email_address(x, z);
    q09(x, y, z) <-- advisor(x, y), student(x), faculty(y), teacher_of(y, z), course(z), takes_course(x, z);
    q10(x) <-- some_course(c), takes_course(x, c), student(x);
    q11(x) <-- some_university(u), sub_organization_of(x, u), research_group(x);
    q12(x, y) <-- some_university(u), sub_organization_of(y, u), department(y), works_for(x, y), chair(x);
    q13(x) <-- some_university(u), has_alumnus(u, x), person(x);
    q14(x) <-- undergraduate_student(x);
}

/// Answers the queries over a closure.
pub fn rows(closure: Ontology, facts: &mut Facts<'_>) -> Vec<(String, u64)> {
    let mut answers = Answers { name: facts.take_pairs(&term("name")), ..Answers::default() };
    let constant = |iri: &str| facts.id(iri).map(|id| (id,)).into_iter().collect();
    answers.some_course = constant("http://www.Department0.University0.edu/GraduateCourse0");
    answers.some_assistant_professor = constant("http://www.Department0.University0.edu/AssistantProfessor0");
    answers.some_associate_professor = constant("http://www.Department0.University0.edu/AssociateProfessor0");
    answers.some_department = constant("http://www.Department0.University0.edu");
    answers.some_university = constant("http://www.University0.edu");
    macro_rules! same {
        ($($relation:ident),*) => { $(answers.$relation = closure.$relation;)* };
    }
    same!(chair, course, department, faculty, graduate_student, person, professor, publication, research_group);
    same!(student, undergraduate_student, university, advisor, email_address, has_alumnus, member_of);
    same!(publication_author, sub_organization_of, takes_course, teacher_of, telephone, undergraduate_degree_from);
    same!(works_for);
    answers.run();
    macro_rules! sizes {
        ($($query:ident),*) => { vec![$((stringify!($query).to_owned(), answers.$query.len() as u64)),*] };
    }
    sizes!(q01, q02, q03, q04, q05, q06, q07, q08, q09, q10, q11, q12, q13, q14)
}
