//! What the standard `OTEL_*` variables ask for. What they cannot have is refused with the name of the variable, rather
//! than traced in another way than somebody thinks.

use crate::Error;
use opentelemetry_sdk::trace::Sampler;

/// Where the collector listens; the second is for traces alone, and wins.
const ENDPOINTS: [&str; 2] = ["OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"];
const PROTOCOLS: [&str; 2] = ["OTEL_EXPORTER_OTLP_PROTOCOL", "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL"];
const EXPORTER: &str = "OTEL_TRACES_EXPORTER";
const SAMPLER: &str = "OTEL_TRACES_SAMPLER";
const SAMPLER_ARGUMENT: &str = "OTEL_TRACES_SAMPLER_ARG";
const QUEUE: &str = "OTEL_BSP_MAX_QUEUE_SIZE";
const SERVICE_NAME: &str = "OTEL_SERVICE_NAME";
const DISABLED: &str = "OTEL_SDK_DISABLED";

/// The part of requests that is kept where nothing is said and nothing sent: something to look at, at no cost.
const RATIO_KEPT: f64 = 0.05;

/// Spans that wait to be sent, if nothing else is said: the standard's number.
const QUEUE_DEFAULT: usize = 2048;

/// How this process traces.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Are spans sent to a collector? The exporter itself reads where it is.
    pub exports: bool,
    /// Which requests are kept here for a while, and sent; those that ask for it are kept anyway.
    pub sampler: Sampler,
    /// Spans that wait to be sent at most; others are dropped.
    pub queue_max: usize,
    /// The name that somebody has given the service.
    pub service_name: Option<String>,
}

impl Settings {
    /// The settings of an environment; none when tracing is turned off.
    ///
    /// # Errors
    /// [`Error::Setting`] for what cannot be done.
    pub fn read(environment: &dyn Fn(&str) -> Option<String>) -> Result<Option<Self>, Error> {
        let value = |name: &str| environment(name).map(|text| text.trim().to_owned()).filter(|text| !text.is_empty());
        if value(DISABLED).is_some_and(|text| text.eq_ignore_ascii_case("true")) {
            return Ok(None);
        }
        let exports = match value(EXPORTER).as_deref() {
            None => ENDPOINTS.iter().any(|name| value(name).is_some()),
            Some("otlp") => true,
            Some("none") => false,
            Some(other) => return Err(refused(EXPORTER, other, "otlp and none are supported")),
        };
        let mut endpoints = ENDPOINTS.iter().filter_map(|name| Some((name, value(name)?)));
        let encrypted = endpoints.find(|(_, endpoint)| exports && !endpoint.starts_with("http://"));
        if let Some((name, endpoint)) = encrypted {
            return Err(refused(name, &endpoint, "only http:// is supported, for example to a collector nearby"));
        }
        let protocol = PROTOCOLS.iter().rev().find_map(|name| Some((name, value(name)?)));
        if let Some((name, protocol)) = protocol.filter(|(_, protocol)| exports && protocol != "grpc") {
            return Err(refused(name, &protocol, "only grpc is supported"));
        }
        let queue_max = match value(QUEUE) {
            None => QUEUE_DEFAULT,
            Some(text) => {
                let number = text.parse().ok().filter(|number| (1..=1 << 20).contains(number));
                number.ok_or_else(|| refused(QUEUE, &text, "it is a number from 1 to 1048576"))?
            }
        };
        Ok(Some(Self {
            exports,
            sampler: match value(SAMPLER) {
                None if !exports => Sampler::ParentBased(Box::new(Sampler::TraceIdRatioBased(RATIO_KEPT))),
                name => sampler(name.as_deref(), value(SAMPLER_ARGUMENT).as_deref())?,
            },
            queue_max,
            service_name: value(SERVICE_NAME),
        }))
    }
}

fn sampler(name: Option<&str>, argument: Option<&str>) -> Result<Sampler, Error> {
    let ratio = || match argument {
        None => Ok(1.0),
        Some(text) => {
            let ratio = text.parse().ok().filter(|ratio| (0.0..=1.0).contains(ratio));
            ratio.ok_or_else(|| refused(SAMPLER_ARGUMENT, text, "it is a number from 0 to 1"))
        }
    };
    let parent_based = |root: Sampler| Sampler::ParentBased(Box::new(root));
    Ok(match name.unwrap_or("parentbased_always_on") {
        "always_on" => Sampler::AlwaysOn,
        "always_off" => Sampler::AlwaysOff,
        "traceidratio" => Sampler::TraceIdRatioBased(ratio()?),
        "parentbased_always_on" => parent_based(Sampler::AlwaysOn),
        "parentbased_always_off" => parent_based(Sampler::AlwaysOff),
        "parentbased_traceidratio" => parent_based(Sampler::TraceIdRatioBased(ratio()?)),
        other => {
            let known = "always_on, always_off, traceidratio, and these three after parentbased_ are supported";
            return Err(refused(SAMPLER, other, known));
        }
    })
}

fn refused(variable: &str, value: &str, why: &str) -> Error {
    Error::Setting(format!("{variable}={value}: {why}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(variables: &[(&str, &str)]) -> Result<Option<Settings>, String> {
        let find = |name: &str| variables.iter().find(|(known, _)| *known == name).map(|(_, text)| (*text).to_owned());
        Settings::read(&find).map_err(|error| error.to_string())
    }

    fn settings(variables: &[(&str, &str)]) -> Settings {
        read(variables).unwrap().unwrap()
    }

    #[test]
    fn without_variables_nothing_is_sent_and_a_part_is_kept() {
        let silent = settings(&[("OTEL_EXPORTER_OTLP_ENDPOINT", "")]);
        assert!(!silent.exports && silent.service_name.is_none());
        assert_eq!(silent.queue_max, QUEUE_DEFAULT);
        assert_eq!(format!("{:?}", silent.sampler), "ParentBased(TraceIdRatioBased(0.05))");
        let sent = settings(&[("OTEL_EXPORTER_OTLP_ENDPOINT", "http://collector:4317")]).sampler;
        assert_eq!(format!("{sent:?}"), "ParentBased(AlwaysOn)", "as the standard has it");
    }

    #[test]
    fn the_standard_variables_count() {
        assert!(read(&[("OTEL_SDK_DISABLED", "True")]).unwrap().is_none());
        let endpoint = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://collector:4317");
        assert!(settings(&[endpoint]).exports);
        assert!(!settings(&[endpoint, ("OTEL_TRACES_EXPORTER", "none")]).exports);
        let traces_first =
            [("OTEL_EXPORTER_OTLP_PROTOCOL", "http/json"), ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "grpc")];
        assert!(settings(&[&traces_first[..], &[endpoint]].concat()).exports);
        let ratio = settings(&[("OTEL_TRACES_SAMPLER", "traceidratio"), ("OTEL_TRACES_SAMPLER_ARG", "0.05")]).sampler;
        assert_eq!(format!("{ratio:?}"), "TraceIdRatioBased(0.05)");
        assert_eq!(settings(&[("OTEL_SERVICE_NAME", " mine ")]).service_name.as_deref(), Some("mine"));
        assert_eq!(settings(&[("OTEL_BSP_MAX_QUEUE_SIZE", "7")]).queue_max, 7);
    }

    #[test]
    fn what_cannot_be_done_is_refused_by_name() {
        let endpoint = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://collector:4318");
        let cases = [
            (
                vec![endpoint, ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf")],
                "OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf",
            ),
            (
                vec![("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "https://collector:4317")],
                "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT=https://collector:4317",
            ),
            (vec![("OTEL_TRACES_EXPORTER", "zipkin")], "OTEL_TRACES_EXPORTER=zipkin"),
            (vec![("OTEL_TRACES_SAMPLER", "xray")], "OTEL_TRACES_SAMPLER=xray"),
            (
                vec![("OTEL_TRACES_SAMPLER", "traceidratio"), ("OTEL_TRACES_SAMPLER_ARG", "5%")],
                "OTEL_TRACES_SAMPLER_ARG=5%",
            ),
            (vec![("OTEL_BSP_MAX_QUEUE_SIZE", "0")], "OTEL_BSP_MAX_QUEUE_SIZE=0"),
        ];
        for (variables, expected) in cases {
            let refused = read(&variables).map(drop).unwrap_err();
            assert!(refused.contains(expected), "{refused}");
        }
        assert!(read(&[("OTEL_EXPORTER_OTLP_PROTOCOL", "http/json")]).is_ok(), "nothing is sent");
    }
}
