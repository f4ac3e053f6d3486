//! Makes a failing case smaller, greedily: leaves out one thing after the other as long as the case fails.

use crate::query::*;
use crate::random::Case;

/// The smallest case that was found, and that `fails` as the given one does.
pub fn smallest(case: &Case, fails: &mut dyn FnMut(&Case) -> bool) -> Case {
    let mut smallest = case.clone();
    // Fewer rounds than any case has parts, so that a check that wavers comes to an end.
    for _ in 0..500 {
        match smaller(&smallest).into_iter().find(|case| fails(case)) {
            Some(case) => smallest = case,
            None => break,
        }
    }
    smallest
}

/// Cases with one thing less.
fn smaller(case: &Case) -> Vec<Case> {
    let queries = queries(&case.query).into_iter().map(|query| Case { query, ..case.clone() });
    let facts = without_one(&case.facts).into_iter().map(|facts| Case { facts, ..case.clone() });
    let rules = without_one(&case.rules).into_iter().map(|rules| Case { rules, ..case.clone() });
    // Derived facts are stated instead, and the rules left out.
    let stated = case.dataset().ok().filter(|_| !case.rules.is_empty()).map(|data| Case {
        facts: crate::random::quads(&data),
        rules: Vec::new(),
        query: case.query.clone(),
    });
    stated.into_iter().chain(rules).chain(queries).chain(facts).collect()
}

/// The lists with one element less.
fn without_one<T: Clone>(items: &[T]) -> Vec<Vec<T>> {
    let without = |index: usize| {
        let mut items = items.to_vec();
        items.remove(index);
        items
    };
    (0..items.len()).map(without).collect()
}

/// The lists in which one element is replaced by a smaller one.
fn with_smaller<T: Clone>(items: &[T], smaller: impl Fn(&T) -> Vec<T>) -> Vec<Vec<T>> {
    let with = |index: usize| {
        let replaced = smaller(&items[index]).into_iter().map(move |item| {
            let mut items = items.to_vec();
            items[index] = item;
            items
        });
        replaced.collect::<Vec<_>>()
    };
    (0..items.len()).flat_map(with).collect()
}

fn queries(query: &Query) -> Vec<Query> {
    let with = |form: Form| Query { form, ..query.clone() };
    let mut all: Vec<Query> = match &query.form {
        Form::Ask(group) => groups(group).into_iter().map(|group| with(Form::Ask(group))).collect(),
        Form::Construct(template, group) => {
            let smaller = groups(group).into_iter().map(|group| with(Form::Construct(template.clone(), group)));
            let template = without_one(template).into_iter().filter(|template| !template.is_empty());
            smaller.chain(template.map(|template| with(Form::Construct(template, group.clone())))).collect()
        }
        Form::Select(select) => selects(select).into_iter().map(|select| with(Form::Select(select))).collect(),
    };
    if !query.from.is_empty() || !query.from_named.is_empty() {
        all.push(Query::new(query.form.clone()));
    }
    all
}

fn groups(group: &Group) -> Vec<Group> {
    let inner = group.0.iter().filter_map(|element| match element {
        Element::Optional(group) | Element::Minus(group) | Element::Graph(_, group) => Some(vec![group.clone()]),
        Element::Union(groups) => Some(groups.clone()),
        Element::Select(select) => Some(vec![select.pattern.clone()]),
        _ => None,
    });
    let fewer = without_one(&group.0).into_iter().map(Group);
    let smaller = with_smaller(&group.0, elements).into_iter().map(Group);
    inner.flatten().chain(fewer).chain(smaller).collect()
}

fn elements(element: &Element) -> Vec<Element> {
    match element {
        Element::Filter(condition) => expressions(condition).into_iter().map(Element::Filter).collect(),
        Element::Bind(value, name) => {
            expressions(value).into_iter().map(|value| Element::Bind(value, name.clone())).collect()
        }
        Element::Optional(group) => groups(group).into_iter().map(Element::Optional).collect(),
        Element::Minus(group) => groups(group).into_iter().map(Element::Minus).collect(),
        Element::Graph(name, group) => {
            groups(group).into_iter().map(|group| Element::Graph(name.clone(), group)).collect()
        }
        Element::Union(all) => {
            let fewer = without_one(all).into_iter().filter(|groups| !groups.is_empty());
            fewer.chain(with_smaller(all, groups)).map(Element::Union).collect()
        }
        Element::Values(values) => without_one(&values.rows)
            .into_iter()
            .map(|rows| Element::Values(Values { variables: values.variables.clone(), rows }))
            .collect(),
        Element::Select(select) => {
            selects(select).into_iter().map(|select| Element::Select(Box::new(select))).collect()
        }
        Element::Path(subject, path, object) => {
            paths(path).into_iter().map(|path| Element::Path(subject.clone(), path, object.clone())).collect()
        }
        Element::Triple(_) => Vec::new(),
    }
}

fn paths(path: &Path) -> Vec<Path> {
    let boxed = |path: &Path, of: fn(Box<Path>) -> Path| -> Vec<Path> {
        std::iter::once(path.clone()).chain(paths(path).into_iter().map(|path| of(Box::new(path)))).collect()
    };
    match path {
        Path::Link(_) | Path::Negated { .. } => Vec::new(),
        Path::Inverse(path) => boxed(path, Path::Inverse),
        Path::ZeroOrOne(path) => boxed(path, Path::ZeroOrOne),
        Path::ZeroOrMore(path) => boxed(path, Path::ZeroOrMore),
        Path::OneOrMore(path) => boxed(path, Path::OneOrMore),
        Path::Sequence(one, other) | Path::Alternative(one, other) => vec![(**one).clone(), (**other).clone()],
    }
}

fn selects(select: &Select) -> Vec<Select> {
    let mut all = Vec::new();
    let mut change = |change: &dyn Fn(&mut Select)| {
        let mut own = select.clone();
        change(&mut own);
        if own != *select {
            all.push(own);
        }
    };
    change(&|own| own.values = None);
    change(&|own| own.having.clear());
    change(&|own| (own.limit, own.offset) = (None, 0));
    change(&|own| own.duplicates = Duplicates::Kept);
    change(&|own| own.order_by.clear());
    change(&|own| *own = Select::all(own.pattern.clone()));
    change(&|own| {
        let keys = own.group_by.iter().skip(1).cloned().collect();
        own.group_by = keys;
    });
    for pattern in groups(&select.pattern) {
        all.push(Select { pattern, ..select.clone() });
    }
    if let Projection::Items(items) = &select.projection {
        let fewer = without_one(items).into_iter().filter(|items| !items.is_empty());
        let item = |(expression, name): &(Option<Expression>, String)| match expression {
            Some(expression) => {
                expressions(expression).into_iter().map(|smaller| (Some(smaller), name.clone())).collect()
            }
            None => Vec::new(),
        };
        for items in fewer.chain(with_smaller(items, item)) {
            all.push(Select { projection: Projection::Items(items), ..select.clone() });
        }
    }
    all
}

fn expressions(expression: &Expression) -> Vec<Expression> {
    let mut all: Vec<Expression> = expression.children().into_iter().cloned().collect();
    if let Expression::Exists(group) = expression {
        all.extend(groups(group).into_iter().map(Expression::Exists));
    }
    for (index, child) in expression.children().into_iter().enumerate() {
        for smaller in expressions(child) {
            let mut own = expression.clone();
            *own.children_mut()[index] = smaller;
            all.push(own);
        }
    }
    all
}
