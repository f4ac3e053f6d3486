//! The results of one file, grouped by step over all runs.

use super::format::Number;
use crate::Error;
use crate::measurement::spread;
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// The results of one command.
#[derive(Default)]
pub struct Results {
    pub workload: String,
    pub runs: u64,
    /// A short description of the cluster.
    pub cluster: String,
    machine: Map<String, Value>,
    /// The steps, in the order of their first occurrence.
    pub steps: Vec<Step>,
    pub ratios: Vec<Ratio>,
}

/// A step of a subject.
pub struct Step {
    pub subject: String,
    pub name: String,
    /// The number of clients, which distinguishes steps of the same name.
    clients: Option<u64>,
    /// The values of each field, one for each run.
    values: BTreeMap<String, Vec<f64>>,
}

/// A ratio over all runs.
pub struct Ratio {
    pub against: String,
    pub of: String,
    /// Minimum, median and maximum.
    pub values: [f64; 3],
}

impl Results {
    /// The results in a file, to which several commands may have written one after the other.
    ///
    /// # Errors
    /// [`Error::Input`] for a line that is not a result, and if a command has no results.
    pub fn read(name: &str, text: &str) -> Result<Vec<Self>, Error> {
        let mut all = vec![Self::default()];
        for (number, line) in text.lines().enumerate() {
            let line = serde_json::from_str(line).ok();
            let is_next = |line: &Map<String, Value>| line.get("line").and_then(Value::as_str) == Some("machine");
            if line.as_ref().is_some_and(is_next) && number > 0 {
                all.push(Self::default());
            }
            let taken = line.and_then(|line| all.last_mut()?.take(line));
            taken.ok_or_else(|| Error::Input(format!("{name}, line {}, is no result", number + 1)))?;
        }
        match all.iter().any(|results| results.runs == 0) {
            true => Err(Error::Input(format!("{name} has no results"))),
            false => Ok(all),
        }
    }

    fn take(&mut self, line: Map<String, Value>) -> Option<()> {
        match line.get("line")?.as_str()? {
            "machine" => self.machine = line,
            "cluster" => self.cluster = cluster(&line)?,
            "measurement" => self.measurement(&line)?,
            "ratio" => {
                let text = |field: &str| line.get(field).and_then(Value::as_str).map(str::to_owned);
                // A ratio whose divisor was too small to be measured is null.
                let number = |field: &str| Some(line.get(field)?.as_f64().unwrap_or(f64::NAN));
                let values = [number("min")?, number("median")?, number("max")?];
                self.ratios.push(Ratio { against: text("against")?, of: text("of")?, values });
            }
            _ => return None,
        }
        Some(())
    }

    fn measurement(&mut self, line: &Map<String, Value>) -> Option<()> {
        let text = |field: &str| line.get(field).and_then(Value::as_str);
        let (subject, name) = (text("subject")?, text("step")?);
        let clients = line.get("clients").and_then(Value::as_u64);
        self.runs = self.runs.max(line.get("run")?.as_u64()?);
        text("workload")?.clone_into(&mut self.workload);
        let is_it = |step: &Step| step.subject == subject && step.name == name && step.clients == clients;
        let index = self.steps.iter().position(is_it).unwrap_or_else(|| {
            let (subject, name) = (subject.to_owned(), name.to_owned());
            self.steps.push(Step { subject, name, clients, values: BTreeMap::new() });
            self.steps.len() - 1
        });
        for (field, value) in line {
            if let Some(value) = value.as_f64() {
                self.steps[index].values.entry(field.clone()).or_default().push(value);
            }
        }
        Some(())
    }

    /// A step of Entail.
    pub fn step(&self, name: &str) -> Option<&Step> {
        self.steps.iter().find(|step| step.subject == "entail" && step.name == name)
    }

    /// The machine, the cluster and the load.
    pub fn circumstances(&self) -> String {
        let text = |field: &str| self.machine.get(field).and_then(Value::as_str).unwrap_or("unknown");
        let number = |field: &str| self.machine.get(field).and_then(Value::as_f64).unwrap_or_default();
        let of = [
            self.cluster.clone(),
            format!(
                "{} processors ({}) with {:.1} GB",
                number("processors"),
                text("processor"),
                number("memory_bytes") / 1e9
            ),
            format!("Linux {}", text("kernel")),
            format!("Entail {}, {} build", text("version"), text("build")),
            format!("load {} when it began", number("load")),
        ];
        format!("{}.", of.join("; "))
    }

    /// The peers with ratios, each once.
    pub fn against(&self) -> Vec<String> {
        let mut against: Vec<String> = self.ratios.iter().map(|ratio| ratio.against.clone()).collect();
        against.dedup();
        against
    }
}

fn cluster(line: &Map<String, Value>) -> Option<String> {
    let (nodes, shards) = (line.get("nodes")?.as_u64()?, line.get("shards")?.as_u64()?);
    let mut words = format!("{nodes} node{}, {shards} shards", if nodes == 1 { "" } else { "s" });
    if line.get("layout")?.as_str()? == "many" {
        words += ", a process each";
    }
    if line.get("pinned")?.as_bool()? {
        words += ", pinned";
    }
    for field in ["memory", "threads"] {
        match line.get(field)? {
            Value::Null => {}
            Value::String(value) => words += &format!(", {field} {value}"),
            value => words += &format!(", {field} {value}"),
        }
    }
    Some(words)
}

impl Step {
    pub fn has(&self, field: &str) -> bool {
        self.values.contains_key(field)
    }

    /// Does the step have a value other than zero in this field?
    pub fn tells(&self, field: &str) -> bool {
        self.values.get(field).is_some_and(|values| values.iter().any(|value| *value != 0.0))
    }

    pub fn median(&self, field: &str) -> Option<f64> {
        self.values.get(field).map(|values| spread(values)[1])
    }

    /// Minimum, median and maximum, or the one value of all runs.
    pub fn cell(&self, field: &str, number: Number) -> String {
        let Some(values) = self.values.get(field) else { return String::new() };
        let [min, median, max] = spread(values).map(number);
        if min == max { median } else { format!("{min} – **{median}** – {max}") }
    }

    pub fn full_name(&self) -> String {
        format!("{}, {}", self.subject, self.name)
    }

    /// The name of a step; for Entail without the subject.
    pub fn short_name(&self) -> String {
        if self.subject == "entail" { self.name.clone() } else { self.full_name() }
    }
}
