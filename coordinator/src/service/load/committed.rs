//! What a load has committed so far, by this send of it or an earlier one: it stays, however the load ends.

use entail_model::Fault;
use entail_proto::v1::ChangeSummary;

/// What a load has committed.
#[derive(Debug, Default)]
pub struct Committed {
    pub total: ChangeSummary,
    pub epochs: u32,
    triples: u64,
}

impl Committed {
    /// An epoch of so many triples is committed.
    pub fn add(&mut self, triples: u64, change: ChangeSummary) {
        self.triples += triples;
        self.epochs += 1;
        let total = &mut self.total;
        total.epoch = change.epoch;
        total.asserted += change.asserted;
        total.derived += change.derived;
        total.derived_net += change.derived_net;
        total.rounds += change.rounds;
        total.seconds += change.seconds;
        total.bytes_exchanged += change.bytes_exchanged;
        total.received += change.received;
        total.removed += change.removed;
        total.derived_removed += change.derived_removed;
        total.derived_only += change.derived_only;
        if total.derived_only_fact.is_empty() {
            total.derived_only_fact = change.derived_only_fact;
            total.derived_only_rules = change.derived_only_rules;
        }
        total.dry_run |= change.dry_run;
        // A dry run is one epoch.
        total.predicates.extend(change.predicates);
        // The response to a repeated request lacks the rules that derived nothing.
        for rule in change.rules {
            match total.rules.iter_mut().find(|sum| sum.rule == rule.rule) {
                Some(sum) => sum.derived += rule.derived,
                None => total.rules.push(rule),
            }
        }
    }

    /// The fault that ends the load; its message names what is committed.
    pub fn fault(&self, mut fault: Fault) -> Fault {
        let Self { total, epochs, triples } = self;
        if *epochs > 0 {
            fault
                .message
                .push_str(&format!("; the first {triples} triples stay committed, as of epoch {}", total.epoch));
        }
        fault
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use entail_model::Reason;

    #[test]
    fn a_fault_names_what_is_committed() {
        let mut done = Committed::default();
        let fault = |done: &Committed| done.fault(Fault::new(Reason::Cancelled, "gone")).message;
        assert_eq!(fault(&done), "gone");
        done.add(0, ChangeSummary { epoch: 4, ..ChangeSummary::default() });
        assert_eq!(fault(&done), "gone; the first 0 triples stay committed, as of epoch 4");
        done.add(9, ChangeSummary { epoch: 6, ..ChangeSummary::default() });
        assert_eq!(fault(&done), "gone; the first 9 triples stay committed, as of epoch 6");
    }
}
