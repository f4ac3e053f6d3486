//! What does not compute all its operands in all rows: `||`, `&&`, IN, IF and COALESCE.

use super::Run;
use super::operand::Operand;
use crate::Budget;
use crate::column::{Column, Truth};
use crate::compare;
use crate::program::Index;
use crate::value::Value;
use entail_model::Fault;
use entail_syntax::ast::{Comparison, Membership};

impl Run<'_> {
    /// `||`, which true decides, or `&&`, which false decides. An error stays one unless a later operand decides.
    pub(super) fn junction(
        &self,
        decides: Truth,
        list: &[Index],
        rows: &[u32],
        budget: &mut Budget<'_>,
    ) -> Result<Vec<Truth>, Fault> {
        let mut result = vec![decides.negated(); rows.len()];
        // Places of the selection that are not decided, and their rows.
        let mut open: Vec<usize> = (0..rows.len()).collect();
        let mut open_rows = rows.to_vec();
        for operand in list {
            if open.is_empty() {
                break;
            }
            let truths = self.truths(*operand, &open_rows, budget)?;
            for (at, truth) in open.iter().zip(&truths) {
                if *truth == decides || *truth == Truth::Error {
                    result[*at] = *truth;
                }
            }
            open.retain(|at| result[*at] != decides);
            open_rows.clear();
            open_rows.extend(open.iter().map(|at| rows[*at]));
        }
        Ok(result)
    }

    /// IN and NOT IN (17.4.1.9): true if one is equal, else an error if one comparison is.
    pub(super) fn member(
        &self,
        membership: Membership,
        element: Index,
        list: &[Index],
        rows: &[u32],
        budget: &mut Budget<'_>,
    ) -> Result<Vec<Truth>, Fault> {
        let element = self.operand(element, rows, budget)?;
        let mut result = vec![Truth::False; rows.len()];
        let mut open: Vec<usize> = (0..rows.len()).collect();
        let mut open_rows = rows.to_vec();
        for other in list {
            if open.is_empty() {
                break;
            }
            let other = self.operand(*other, &open_rows, budget)?;
            for (place, at) in open.iter().enumerate() {
                let equal = compare::compare(Comparison::Equal, element.view(*at), other.view(place))?;
                match Truth::of(equal) {
                    Truth::False => {}
                    truth => result[*at] = truth,
                }
            }
            drop(other);
            open.retain(|at| result[*at] != Truth::True);
            open_rows.clear();
            open_rows.extend(open.iter().map(|at| rows[*at]));
        }
        if membership == Membership::NotIn {
            result.iter_mut().for_each(|truth| *truth = truth.negated());
        }
        Ok(result)
    }

    /// IF: an error of the condition is the result.
    pub(super) fn if_else<'s>(
        &'s self,
        arguments: &[Index],
        rows: &'s [u32],
        budget: &mut Budget<'_>,
    ) -> Result<Operand<'s>, Fault> {
        let truths = self.truths(arguments[0], rows, budget)?;
        let mut values = vec![Value::Error; rows.len()];
        for (branch, wanted) in [(arguments[1], Truth::True), (arguments[2], Truth::False)] {
            let places: Vec<usize> = (0..rows.len()).filter(|at| truths[*at] == wanted).collect();
            if !places.is_empty() {
                let chosen: Vec<u32> = places.iter().map(|at| rows[*at]).collect();
                let operand = self.operand(branch, &chosen, budget)?;
                for (index, at) in places.iter().enumerate() {
                    values[*at] = operand.value(index);
                }
            }
        }
        Ok(Operand::Computed(Column::Values(values)))
    }

    /// COALESCE: the first that is no error.
    pub(super) fn coalesce<'s>(
        &'s self,
        arguments: &[Index],
        rows: &'s [u32],
        budget: &mut Budget<'_>,
    ) -> Result<Operand<'s>, Fault> {
        let mut values = vec![Value::Error; rows.len()];
        let mut open: Vec<usize> = (0..rows.len()).collect();
        for argument in arguments {
            if open.is_empty() {
                break;
            }
            let chosen: Vec<u32> = open.iter().map(|at| rows[*at]).collect();
            let operand = self.operand(*argument, &chosen, budget)?;
            for (index, at) in open.iter().enumerate() {
                values[*at] = operand.value(index);
            }
            open.retain(|at| values[*at].is_error());
        }
        Ok(Operand::Computed(Column::Values(values)))
    }
}
