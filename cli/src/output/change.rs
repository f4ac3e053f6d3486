//! The effect of an epoch, as lines of text and as JSON.

use crate::units::{bytes, count, counted, seconds};
use entail_client::v1::{ChangeSummary, PredicateChange, RuleSummary};
use serde_json::{Value, json};

/// Predicates and rules that are shown as text; the JSON object has all.
const PREDICATES_SHOWN: usize = 20;
const RULES_SHOWN: usize = 3;

/// The stable JSON object of a change.
pub fn json(change: &ChangeSummary) -> Value {
    let rule = |rule: &RuleSummary| json!({ "rule": rule.rule, "derived": rule.derived });
    let mut json = json!({
        "epoch": change.epoch,
        "asserted": change.asserted,
        "removed": change.removed,
        "derived": change.derived,
        "derived_removed": change.derived_removed,
        "derived_net": change.derived_net,
        "derived_only": change.derived_only,
        "rounds": change.rounds,
        "seconds": change.seconds,
        "bytes_exchanged": change.bytes_exchanged,
        "rules": change.rules.iter().map(rule).collect::<Vec<_>>(),
        "dry_run": change.dry_run,
    });
    if change.derived_only > 0 {
        json["derived_only_fact"] = change.derived_only_fact.clone().into();
        json["derived_only_rules"] = change.derived_only_rules.clone().into();
    }
    if change.dry_run {
        json["predicates"] = change.predicates.iter().map(predicate).collect();
    }
    json
}

fn predicate(change: &PredicateChange) -> Value {
    json!({
        "graph": change.graph,
        "predicate": change.predicate,
        "asserted": change.asserted,
        "removed": change.removed,
        "derived": change.derived,
        "derived_removed": change.derived_removed,
    })
}

/// The effect of a change in a few lines.
pub fn told(change: &ChangeSummary) -> String {
    let mut lines = vec![line(change)];
    if change.derived_only > 0 {
        lines.push(derived_only(change));
    }
    if change.dry_run {
        let named = change.predicates.iter().take(PREDICATES_SHOWN);
        lines.extend(named.map(of_predicate));
        let rest = change.predicates.len().saturating_sub(PREDICATES_SHOWN) as u64;
        if rest > 0 {
            lines.push(format!("  and {}", counted(rest, "other predicate")));
        }
        lines.push("nothing was committed".to_owned());
    }
    lines.join("\n")
}

/// Facts that only rules say, and that were to be removed.
fn derived_only(change: &ChangeSummary) -> String {
    let (are, them) = if change.derived_only == 1 { ("is", "it") } else { ("are", "them") };
    let mut text =
        format!("{} to be removed {are} not asserted: only rules derive {them}", counted(change.derived_only, "fact"),);
    if !change.derived_only_fact.is_empty() {
        text += &format!("\n  such as {}", change.derived_only_fact);
    }
    for rule in change.derived_only_rules.iter().take(RULES_SHOWN) {
        text += &format!("\n  which may follow by {rule}");
    }
    text
}

/// The changes of one predicate.
fn of_predicate(change: &PredicateChange) -> String {
    let PredicateChange { graph, predicate, asserted, removed, derived, derived_removed } = change;
    let graph = if graph.is_empty() { String::new() } else { format!(" in {graph}") };
    let asserted = format!("asserted +{} -{}", count(*asserted), count(*removed));
    let derived = format!("derived +{} -{}", count(*derived), count(*derived_removed));
    format!("  {asserted}, {derived}: {predicate}{graph}")
}

/// The effect of a change in one line. The derivations of each rule are in the JSON object only: there may be
/// thousands.
pub fn line(change: &ChangeSummary) -> String {
    let removed = match change.removed {
        0 => String::new(),
        removed => format!("{} removed, ", counted(removed, "fact")),
    };
    let gone = match change.derived_removed {
        0 => String::new(),
        gone => format!(" and {} no longer", count(gone)),
    };
    // Dropping or replacing rules removes facts, which the number of new derivations does not show.
    let net = match change.derived_net {
        net if net == change.derived.cast_signed() - change.derived_removed.cast_signed() => String::new(),
        net if net < 0 => format!(" ({} fewer than before)", count(net.unsigned_abs())),
        net => format!(" ({} more than before)", count(net.unsigned_abs())),
    };
    format!(
        "{} {}: {} asserted, {removed}{} derived{gone} in {}{net}, {} exchanged, {}",
        if change.dry_run { "dry run on epoch" } else { "epoch" },
        change.epoch,
        counted(change.asserted, "fact"),
        counted(change.derived, "fact"),
        counted(change.rounds.into(), "round"),
        bytes(change.bytes_exchanged),
        seconds(change.seconds),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_is_shown() {
        let rule = |rule: &str, derived| RuleSummary { rule: rule.to_owned(), derived };
        let change = ChangeSummary {
            epoch: 7,
            asserted: 1,
            derived: 1500,
            derived_net: 1500,
            rounds: 3,
            seconds: 0.25,
            bytes_exchanged: 2048,
            rules: vec![rule("1:1", 1500), rule("2:1", 0)],
            ..ChangeSummary::default()
        };
        let expected = "epoch 7: 1 fact asserted, 1,500 facts derived in 3 rounds, 2.0 KiB exchanged, 250.0 ms";
        assert_eq!(line(&change), expected);
        assert_eq!(json(&change)["rules"][1]["derived"], 0);
        let dropped = ChangeSummary { derived_net: -20, rules: Vec::new(), ..change };
        assert!(
            line(&dropped).contains("1,500 facts derived in 3 rounds (20 fewer than before), "),
            "{}",
            line(&dropped)
        );
    }

    #[test]
    fn removals_are_shown() {
        let change = ChangeSummary {
            epoch: 9,
            asserted: 2,
            removed: 3_000,
            derived: 1,
            derived_removed: 20,
            derived_net: -19,
            derived_only: 2,
            derived_only_fact: "<urn:a> <urn:q> <urn:b>".to_owned(),
            derived_only_rules: vec!["<urn:rule>".to_owned()],
            rounds: 2,
            ..ChangeSummary::default()
        };
        let expected = "epoch 9: 2 facts asserted, 3,000 facts removed, 1 fact derived and 20 no longer in 2 rounds, \
                        0 B exchanged, 0.0 ms\n2 facts to be removed are not asserted: only rules derive them\n  \
                        such as <urn:a> <urn:q> <urn:b>\n  which may follow by <urn:rule>";
        assert_eq!(told(&change), expected);
        assert_eq!(json(&change)["derived_only_rules"][0], "<urn:rule>");
        let predicate = PredicateChange { predicate: "urn:p".to_owned(), removed: 3, ..PredicateChange::default() };
        let dry = ChangeSummary {
            dry_run: true,
            derived_only: 0,
            predicates: vec![predicate; PREDICATES_SHOWN + 1],
            ..change
        };
        let lines = told(&dry);
        assert!(lines.starts_with("dry run on epoch 9: "), "{lines}");
        assert!(lines.contains("\n  asserted +0 -3, derived +0 -0: urn:p\n"), "{lines}");
        assert!(lines.ends_with("\n  and 1 other predicate\nnothing was committed"), "{lines}");
        assert_eq!(json(&dry)["predicates"][20]["removed"], 3);
    }
}
