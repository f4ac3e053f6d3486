//! The effect of an epoch, as a line of text and as JSON.

use crate::units::{bytes, count, counted, seconds};
use entail_client::v1::ChangeSummary;
use serde_json::{Value, json};

/// The stable JSON object of a change.
pub fn json(change: &ChangeSummary) -> Value {
    let rule = |rule: &entail_client::v1::RuleSummary| json!({ "rule": rule.rule, "derived": rule.derived });
    json!({
        "epoch": change.epoch,
        "asserted": change.asserted,
        "derived": change.derived,
        "derived_net": change.derived_net,
        "rounds": change.rounds,
        "seconds": change.seconds,
        "bytes_exchanged": change.bytes_exchanged,
        "rules": change.rules.iter().map(rule).collect::<Vec<_>>(),
    })
}

/// The effect of a change in one line. The derivations of each rule are in the JSON object only: there may be
/// thousands.
pub fn line(change: &ChangeSummary) -> String {
    // Dropping or replacing rules removes facts, which the number of new derivations does not show.
    let net = match change.derived_net {
        net if net.cast_unsigned() == change.derived => String::new(),
        net if net < 0 => format!(" ({} fewer than before)", count(net.unsigned_abs())),
        net => format!(" ({} more than before)", count(net.unsigned_abs())),
    };
    format!(
        "epoch {}: {} asserted, {} derived in {}{net}, {} exchanged, {}",
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
    use entail_client::v1::RuleSummary;

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
            received: 0,
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
}
