//! SELECT (18.2.4, 18.2.5): groups, HAVING, VALUES, expressions, ORDER BY, projection, DISTINCT, and the page.

use crate::evaluate::{Evaluator, Place, bind, join, values_of};
use crate::expression::Row;
use crate::query::*;
use crate::value::sort_order;
use crate::{Fail, Solution, or_unbound, scope, undecided};
use oxrdf::Term;
use std::cmp::Ordering;
use std::collections::HashSet;
use std::rc::Rc;

/// A solution, with the solutions of its group if there are groups.
#[derive(Clone)]
struct Made {
    solution: Solution,
    group: Option<Rc<Vec<Solution>>>,
    number: u64,
}

/// Values of order keys; `None` is an error or unbound.
type Keys = Vec<Option<Term>>;

impl Evaluator<'_> {
    /// The solutions of a SELECT, in order if there is one.
    pub fn select(&self, select: &Select, place: Place<'_>) -> Result<Vec<Solution>, Fail> {
        let solutions = self.group(&select.pattern, place)?;
        let mut all = if select.is_grouped() {
            self.groups(select, solutions, place)?
        } else {
            solutions.into_iter().map(|solution| Made { solution, group: None, number: self.number() }).collect()
        };
        all = self.having(select, all, place)?;
        if let Some(values) = &select.values {
            all = joined(all, &values_of(values))?;
        }
        if let Projection::Items(items) = &select.projection {
            all.iter_mut().try_for_each(|made| self.name(items, made, place))?;
        }
        self.page(select, all, place)
    }

    /// One row for each group; without GROUP BY all solutions are one group, even if there are none.
    fn groups(&self, select: &Select, solutions: Vec<Solution>, place: Place<'_>) -> Result<Vec<Made>, Fail> {
        let mut groups: Vec<(Keys, Vec<Solution>)> = Vec::new();
        if select.group_by.is_empty() {
            groups.push((Vec::new(), Vec::new()));
        }
        for solution in solutions {
            let row = Row { solution: &solution, group: None, place, number: self.number() };
            let keys = select.group_by.iter().map(|(key, _)| or_unbound(self.expression(key, &row)));
            let keys = keys.collect::<Result<Keys, Fail>>()?;
            match groups.iter_mut().find(|(own, _)| *own == keys) {
                Some((_, group)) => group.push(solution),
                None => groups.push((keys, vec![solution])),
            }
        }
        let made = |(keys, group): (Keys, Vec<Solution>)| {
            let names = select.group_by.iter().map(|(key, name)| match (key, name) {
                (_, Some(name)) | (Expression::Variable(name), None) => Some(name.clone()),
                _ => None,
            });
            let solution = names.zip(keys).filter_map(|(name, key)| Some((name?, key?))).collect();
            Made { solution, group: Some(Rc::new(group)), number: self.number() }
        };
        Ok(groups.into_iter().map(made).collect())
    }

    fn having(&self, select: &Select, all: Vec<Made>, place: Place<'_>) -> Result<Vec<Made>, Fail> {
        let mut kept = Vec::new();
        for made in all {
            let mut holds = true;
            for condition in &select.having {
                holds &= or_unbound(self.condition(condition, &made.row(place)))? == Some(true);
            }
            if holds {
                kept.push(made);
            }
        }
        Ok(kept)
    }

    /// Binds the names of the select expressions, which see those before them.
    fn name(&self, items: &[(Option<Expression>, String)], made: &mut Made, place: Place<'_>) -> Result<(), Fail> {
        for (expression, name) in items {
            if let Some(expression) = expression {
                let value = or_unbound(self.expression(expression, &made.row(place)))?;
                bind(&mut made.solution, name, value)?;
            }
        }
        Ok(())
    }

    /// Order, projection, DISTINCT and the page.
    fn page(&self, select: &Select, all: Vec<Made>, place: Place<'_>) -> Result<Vec<Solution>, Fail> {
        let names = scope::of_select(select);
        let mut rows = Vec::new();
        for made in all {
            let keys = self.keys(&select.order_by, &made.row(place))?;
            let projected: Solution = made.solution.into_iter().filter(|(name, _)| names.contains(name)).collect();
            rows.push((keys, projected));
        }
        if select.duplicates == Duplicates::Removed {
            let mut seen = HashSet::new();
            rows.retain(|(_, row)| seen.insert(row.clone()));
        }
        if select.offset == 0 && select.limit.is_none() {
            return Ok(rows.into_iter().map(|(_, row)| row).collect());
        }
        let end = select.offset.saturating_add(select.limit.unwrap_or(usize::MAX)).min(rows.len());
        let start = select.offset.min(end);
        if start > 0 || end < rows.len() {
            sort_totally(&select.order_by, &mut rows)?;
        }
        Ok(rows.drain(start..end).map(|(_, row)| row).collect())
    }

    fn keys(&self, order: &[OrderKey], row: &Row<'_>) -> Result<Keys, Fail> {
        order.iter().map(|key| or_unbound(self.expression(&key.expression, row))).collect()
    }

    /// Are rows in an order that ORDER BY allows? `None` if its expressions need variables that are not projected.
    pub fn is_sorted(&self, select: &Select, rows: &[Solution], place: Place<'_>) -> Result<bool, Fail> {
        let mut keys = Vec::new();
        for solution in rows {
            keys.push(self.keys(&select.order_by, &Row { solution, group: None, place, number: self.number() })?);
        }
        for (index, later) in keys.iter().enumerate() {
            for earlier in &keys[..index] {
                if compare_keys(&select.order_by, later, earlier)? == Some(Ordering::Less) {
                    return Ok(false);
                }
            }
        }
        Ok(true)
    }
}

impl Made {
    fn row<'m>(&'m self, place: Place<'m>) -> Row<'m> {
        Row { solution: &self.solution, group: self.group.as_deref().map(Vec::as_slice), place, number: self.number }
    }
}

fn joined(all: Vec<Made>, values: &[Solution]) -> Result<Vec<Made>, Fail> {
    let mut joined = Vec::new();
    for made in all {
        for solution in join(std::slice::from_ref(&made.solution), values)? {
            joined.push(Made { solution, ..made.clone() });
        }
    }
    Ok(joined)
}

/// The order of two solutions: by the first key that gives different terms; `None` is an order that is left open.
fn compare_keys(order: &[OrderKey], one: &Keys, other: &Keys) -> Result<Option<Ordering>, Fail> {
    for (key, (one, other)) in order.iter().zip(one.iter().zip(other)) {
        match sort_order(one.as_ref(), other.as_ref())? {
            Some(Ordering::Equal) => {}
            found => return Ok(if key.is_descending { found.map(Ordering::reverse) } else { found }),
        }
    }
    Ok(Some(Ordering::Equal))
}

/// Sorts rows if their order is total, but for rows that are the same.
fn sort_totally(order: &[OrderKey], rows: &mut [(Keys, Solution)]) -> Result<(), Fail> {
    if rows.len() > 300 {
        return Err(undecided("too many solutions to order"));
    }
    let mut result = Ok(());
    for (index, (keys, row)) in rows.iter().enumerate() {
        for (other_keys, other) in &rows[..index] {
            let found = compare_keys(order, keys, other_keys)?;
            if found.is_none() || found == Some(Ordering::Equal) && row != other {
                result = Err(undecided("a page of an order that is not total"));
            }
        }
    }
    rows.sort_by(|(one, _), (other, _)| compare_keys(order, one, other).ok().flatten().unwrap_or(Ordering::Equal));
    result
}
