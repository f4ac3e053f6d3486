//! Reads the standard `OTEL_*` variables. They are often set for every program of a machine, so a setting that cannot
//! be followed is reported by the name of its variable and left out; the caller decides whether that is an error.

use opentelemetry_sdk::trace::Sampler;
use std::path::PathBuf;

/// The variables with the collector's endpoint; the second is for traces alone and takes precedence.
const ENDPOINTS: [&str; 2] = ["OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"];
const PROTOCOLS: [&str; 2] = ["OTEL_EXPORTER_OTLP_PROTOCOL", "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL"];
const CERTIFICATES: [&str; 2] = ["OTEL_EXPORTER_OTLP_CERTIFICATE", "OTEL_EXPORTER_OTLP_TRACES_CERTIFICATE"];
const CLIENT_CERTIFICATES: [&str; 2] =
    ["OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE", "OTEL_EXPORTER_OTLP_TRACES_CLIENT_CERTIFICATE"];
const CLIENT_KEYS: [&str; 2] = ["OTEL_EXPORTER_OTLP_CLIENT_KEY", "OTEL_EXPORTER_OTLP_TRACES_CLIENT_KEY"];
const EXPORTER: &str = "OTEL_TRACES_EXPORTER";
const SAMPLER: &str = "OTEL_TRACES_SAMPLER";
const SAMPLER_ARGUMENT: &str = "OTEL_TRACES_SAMPLER_ARG";
const QUEUE: &str = "OTEL_BSP_MAX_QUEUE_SIZE";
const SERVICE_NAME: &str = "OTEL_SERVICE_NAME";
const PROPAGATORS: &str = "OTEL_PROPAGATORS";
const DISABLED: &str = "OTEL_SDK_DISABLED";

/// The ratio of sampled requests if neither a sampler nor an exporter is configured: enough to look at, at negligible
/// cost.
const RATIO_KEPT: f64 = 0.05;

/// The default number of spans in the queue, as in the standard.
const QUEUE_DEFAULT: usize = 2048;

/// The conventional port of OTLP over HTTP; 4317 is that of OTLP over gRPC.
const HTTP_PORT: &str = ":4318";

/// The trace settings of this process.
#[derive(Clone, Debug)]
pub struct Settings {
    /// How spans are sent to a collector; `None` if they are not sent. The exporter itself reads the endpoint.
    pub otlp: Option<Otlp>,
    /// Are sampled spans written to the standard error?
    pub console: bool,
    /// Which requests are sampled: kept in the ring and exported. Requests that ask for their trace are always kept.
    pub sampler: Sampler,
    /// The largest number of spans in the queue; further spans are dropped.
    pub queue_max: usize,
    /// The configured service name.
    pub service_name: Option<String>,
}

impl Settings {
    /// Are sampled spans exported?
    pub fn sends(&self) -> bool {
        self.otlp.is_some() || self.console
    }

    /// The settings of a process that sends nothing to a collector.
    pub fn without_collector(self) -> Self {
        Self { otlp: None, ..self }
    }
}

/// How spans are sent to a collector.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Otlp {
    pub protocol: Protocol,
    /// The endpoint is encrypted (`https://`, or gRPC without a scheme): files for TLS.
    pub tls: Option<Tls>,
}

/// The two encodings of OTLP that are supported.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    Grpc,
    HttpProtobuf,
}

/// PEM files. Without its own certificate authority, a collector is verified against the system's.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tls {
    pub authority: Option<PathBuf>,
    /// The certificate and the key of this process.
    pub client: Option<(PathBuf, PathBuf)>,
}

/// The result of reading an environment.
#[derive(Debug, Default)]
pub struct Wishes {
    /// `None` when tracing is turned off.
    pub settings: Option<Settings>,
    /// The unsupported settings, each with the name of its variable and the supported values.
    pub refused: Vec<String>,
    /// The ignored variables, and why.
    pub unread: Vec<String>,
}

impl Wishes {
    /// Reads an environment. Settings that cannot be followed are left out and listed in `refused`.
    pub fn read(environment: &dyn Fn(&str) -> Option<String>) -> Self {
        let mut reader = Reader { environment, refused: Vec::new() };
        match reader.value(DISABLED) {
            Some(text) if text.eq_ignore_ascii_case("true") => return Self::default(),
            Some(text) if !text.eq_ignore_ascii_case("false") => reader.refuse(DISABLED, &text, "it is true or false"),
            _ => {}
        }
        let settings = Some(reader.settings());
        Self { settings, unread: reader.unread(), refused: reader.refused }
    }
}

struct Reader<'a> {
    environment: &'a dyn Fn(&str) -> Option<String>,
    refused: Vec<String>,
}

impl Reader<'_> {
    /// A variable's text; an empty variable counts as not set, as the standard requires.
    fn value(&self, name: &str) -> Option<String> {
        (self.environment)(name).map(|text| text.trim().to_owned()).filter(|text| !text.is_empty())
    }

    /// The value for traces, or else the one for all signals, with the variable's name.
    fn either(&self, names: [&'static str; 2]) -> Option<(&'static str, String)> {
        names.into_iter().rev().find_map(|name| Some((name, self.value(name)?)))
    }

    fn refuse(&mut self, variable: &str, value: &str, why: &str) {
        self.refused.push(format!("{variable}={value}: {why}"));
    }

    fn settings(&mut self) -> Settings {
        let (wants_otlp, console) = self.exporters();
        let otlp = if wants_otlp { self.otlp() } else { None };
        let sends = otlp.is_some() || console;
        let sampler = match self.value(SAMPLER) {
            None if !sends => Sampler::ParentBased(Box::new(Sampler::TraceIdRatioBased(RATIO_KEPT))),
            name => self.sampler(name.as_deref()),
        };
        Settings { otlp, console, sampler, queue_max: self.queue_max(), service_name: self.value(SERVICE_NAME) }
    }

    /// Are spans sent to a collector, and are they written to the standard error?
    fn exporters(&mut self) -> (bool, bool) {
        let Some(names) = self.value(EXPORTER) else {
            return (self.either(ENDPOINTS).is_some(), false);
        };
        let (mut otlp, mut console) = (false, false);
        for name in names.split(',').map(str::trim).filter(|name| !name.is_empty()) {
            match name {
                "otlp" => otlp = true,
                "console" => console = true,
                "none" => {}
                other => self.refuse(EXPORTER, other, "otlp, console and none are supported"),
            }
        }
        (otlp, console)
    }

    fn otlp(&mut self) -> Option<Otlp> {
        let endpoint = self.either(ENDPOINTS);
        let address = endpoint.as_ref().map_or("", |(_, address)| address);
        let protocol = match self.either(PROTOCOLS) {
            None if address.trim_end_matches('/').ends_with(HTTP_PORT) => Protocol::HttpProtobuf,
            None => Protocol::Grpc,
            Some((_, name)) if name == "grpc" => Protocol::Grpc,
            Some((_, name)) if name == "http/protobuf" => Protocol::HttpProtobuf,
            Some((variable, name)) => {
                self.refuse(variable, &name, "grpc and http/protobuf are supported");
                return None;
            }
        };
        let is_encrypted = match address.split_once("://") {
            Some(("http", _)) => false,
            Some(("https", _)) => true,
            // The standard's default endpoint, which the exporter knows, is not encrypted.
            None if address.is_empty() => false,
            // OTEL_EXPORTER_OTLP_INSECURE, which the exporter reads, may disable TLS.
            None if protocol == Protocol::Grpc => true,
            _ => {
                let (variable, address) = endpoint.expect("it is not empty");
                self.refuse(variable, &address, "an address begins with http:// or https://");
                return None;
            }
        };
        if address.split_once("://").is_some_and(|(_, place)| place.trim_start_matches('/').is_empty()) {
            let (variable, address) = endpoint.expect("it is not empty");
            self.refuse(variable, &address, "the address names no host");
            return None;
        }
        let tls = is_encrypted.then(|| Tls {
            authority: self.either(CERTIFICATES).map(|(_, path)| PathBuf::from(path)),
            client: self.client_certificate(),
        });
        Some(Otlp { protocol, tls })
    }

    /// The files of this process's certificate and of its key.
    fn client_certificate(&mut self) -> Option<(PathBuf, PathBuf)> {
        match (self.either(CLIENT_CERTIFICATES), self.either(CLIENT_KEYS)) {
            (Some((_, certificate)), Some((_, key))) => Some((certificate.into(), key.into())),
            (Some((variable, path)), None) => {
                self.refuse(variable, &path, "a certificate needs its key as well");
                None
            }
            (None, Some((variable, path))) => {
                self.refuse(variable, &path, "a key needs its certificate as well");
                None
            }
            (None, None) => None,
        }
    }

    fn queue_max(&mut self) -> usize {
        let Some(text) = self.value(QUEUE) else { return QUEUE_DEFAULT };
        let number = text.parse().ok().filter(|number| (1..=1 << 20).contains(number));
        number.unwrap_or_else(|| {
            self.refuse(QUEUE, &text, "it is a number from 1 to 1048576");
            QUEUE_DEFAULT
        })
    }

    fn sampler(&mut self, name: Option<&str>) -> Sampler {
        let parent_based = |root: Sampler| Sampler::ParentBased(Box::new(root));
        match name.unwrap_or("parentbased_always_on") {
            "always_on" => Sampler::AlwaysOn,
            "always_off" => Sampler::AlwaysOff,
            "traceidratio" => Sampler::TraceIdRatioBased(self.ratio()),
            "parentbased_always_on" => parent_based(Sampler::AlwaysOn),
            "parentbased_always_off" => parent_based(Sampler::AlwaysOff),
            "parentbased_traceidratio" => parent_based(Sampler::TraceIdRatioBased(self.ratio())),
            other => {
                let known = "always_on, always_off, traceidratio, and these three after parentbased_ are supported";
                self.refuse(SAMPLER, other, known);
                parent_based(Sampler::AlwaysOn)
            }
        }
    }

    fn ratio(&mut self) -> f64 {
        let Some(text) = self.value(SAMPLER_ARGUMENT) else { return 1.0 };
        let ratio = text.parse().ok().filter(|ratio| (0.0..=1.0).contains(ratio));
        ratio.unwrap_or_else(|| {
            self.refuse(SAMPLER_ARGUMENT, &text, "it is a number from 0 to 1");
            1.0
        })
    }

    fn unread(&self) -> Vec<String> {
        let propagators = self.value(PROPAGATORS);
        let is_other = |names: &String| names.split(',').all(|name| name.trim() != "tracecontext");
        let note = |names| format!("{PROPAGATORS}={names}: traces are passed on as tracecontext");
        propagators.filter(is_other).map(note).into_iter().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(variables: &[(&str, &str)]) -> Wishes {
        let find = |name: &str| variables.iter().find(|(known, _)| *known == name).map(|(_, text)| (*text).to_owned());
        Wishes::read(&find)
    }

    fn settings(variables: &[(&str, &str)]) -> Settings {
        let wishes = read(variables);
        assert_eq!(wishes.refused, Vec::<String>::new());
        wishes.settings.unwrap()
    }

    #[test]
    fn without_variables_nothing_is_sent_and_a_part_is_kept() {
        let silent = settings(&[("OTEL_EXPORTER_OTLP_ENDPOINT", "")]);
        assert!(silent.otlp.is_none() && !silent.console && silent.service_name.is_none());
        assert_eq!(silent.queue_max, QUEUE_DEFAULT);
        assert_eq!(format!("{:?}", silent.sampler), "ParentBased(TraceIdRatioBased(0.05))");
        let sent = settings(&[("OTEL_EXPORTER_OTLP_ENDPOINT", "http://collector:4317")]).sampler;
        assert_eq!(format!("{sent:?}"), "ParentBased(AlwaysOn)", "as the standard has it");
    }

    #[test]
    fn the_standard_variables_count() {
        assert!(read(&[("OTEL_SDK_DISABLED", "True")]).settings.is_none());
        let endpoint = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://collector:4317");
        assert!(settings(&[endpoint]).otlp.is_some());
        assert!(settings(&[endpoint, ("OTEL_TRACES_EXPORTER", "none")]).otlp.is_none());
        let traces_first =
            [("OTEL_EXPORTER_OTLP_PROTOCOL", "http/json"), ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "grpc")];
        assert!(settings(&[&traces_first[..], &[endpoint]].concat()).otlp.is_some());
        let ratio = settings(&[("OTEL_TRACES_SAMPLER", "traceidratio"), ("OTEL_TRACES_SAMPLER_ARG", "0.05")]).sampler;
        assert_eq!(format!("{ratio:?}"), "TraceIdRatioBased(0.05)");
        assert_eq!(settings(&[("OTEL_SERVICE_NAME", " mine ")]).service_name.as_deref(), Some("mine"));
        assert_eq!(settings(&[("OTEL_BSP_MAX_QUEUE_SIZE", "7")]).queue_max, 7);
        assert_eq!(read(&[("OTEL_PROPAGATORS", "b3")]).unread.len(), 1);
        assert_eq!(read(&[("OTEL_PROPAGATORS", "baggage, tracecontext")]).unread.len(), 0);
    }

    #[test]
    fn both_protocols_are_spoken_with_and_without_tls() {
        let otlp = |variables: &[(&str, &str)]| settings(variables).otlp.unwrap();
        let to = |address| ("OTEL_EXPORTER_OTLP_ENDPOINT", address);
        let over_http = ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf");
        let cases = [
            (vec![to("http://collector:4317")], Protocol::Grpc, false),
            (vec![to("https://collector:4317")], Protocol::Grpc, true),
            (vec![to("collector:4317")], Protocol::Grpc, true),
            (vec![("OTEL_TRACES_EXPORTER", "otlp")], Protocol::Grpc, false),
            (vec![to("http://collector:4317"), over_http], Protocol::HttpProtobuf, false),
            (vec![to("https://collector/otlp"), over_http], Protocol::HttpProtobuf, true),
            (vec![to("http://collector:4318/")], Protocol::HttpProtobuf, false),
        ];
        for (variables, protocol, is_encrypted) in cases {
            let otlp = otlp(&variables);
            assert_eq!((otlp.protocol, otlp.tls.is_some()), (protocol, is_encrypted), "{variables:?}");
        }
        let files = [
            ("OTEL_EXPORTER_OTLP_CERTIFICATE", "/all.pem"),
            ("OTEL_EXPORTER_OTLP_TRACES_CERTIFICATE", "/traces.pem"),
            ("OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE", "/me.pem"),
            ("OTEL_EXPORTER_OTLP_CLIENT_KEY", "/me.key"),
        ];
        let tls = otlp(&[&files[..], &[to("https://c:4317")]].concat()).tls.unwrap();
        assert_eq!(tls.authority, Some("/traces.pem".into()));
        assert_eq!(tls.client, Some(("/me.pem".into(), "/me.key".into())));
    }

    #[test]
    fn spans_go_to_the_console_and_to_a_collector() {
        let both = settings(&[("OTEL_TRACES_EXPORTER", "console, otlp")]);
        assert!(both.console && both.otlp.is_some());
        assert_eq!(format!("{:?}", both.sampler), "ParentBased(AlwaysOn)");
    }

    #[test]
    fn what_cannot_be_done_is_refused_by_name_and_left_out() {
        let endpoint = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://collector:4317");
        let cases = [
            (vec![endpoint, ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/json")], "OTEL_EXPORTER_OTLP_PROTOCOL=http/json"),
            (vec![("OTEL_EXPORTER_OTLP_ENDPOINT", "unix://socket")], "OTEL_EXPORTER_OTLP_ENDPOINT=unix://socket"),
            (vec![("OTEL_EXPORTER_OTLP_ENDPOINT", "http://")], "OTEL_EXPORTER_OTLP_ENDPOINT=http://"),
            (vec![("OTEL_TRACES_EXPORTER", "zipkin")], "OTEL_TRACES_EXPORTER=zipkin"),
        ];
        for (variables, expected) in cases {
            let wishes = read(&variables);
            assert!(wishes.refused.len() == 1 && wishes.refused[0].contains(expected), "{:?}", wishes.refused);
            assert!(wishes.settings.unwrap().otlp.is_none());
        }
        let tls = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "https://collector:4317");
        let numbers = [
            (vec![tls, ("OTEL_EXPORTER_OTLP_CLIENT_KEY", "/me.key")], "OTEL_EXPORTER_OTLP_CLIENT_KEY=/me.key"),
            (vec![("OTEL_TRACES_SAMPLER", "xray")], "OTEL_TRACES_SAMPLER=xray"),
            (
                vec![("OTEL_TRACES_SAMPLER", "traceidratio"), ("OTEL_TRACES_SAMPLER_ARG", "5%")],
                "OTEL_TRACES_SAMPLER_ARG=5%",
            ),
            (vec![("OTEL_BSP_MAX_QUEUE_SIZE", "0")], "OTEL_BSP_MAX_QUEUE_SIZE=0"),
            (vec![("OTEL_SDK_DISABLED", "yes")], "OTEL_SDK_DISABLED=yes"),
        ];
        for (variables, expected) in numbers {
            let wishes = read(&[&variables[..], &[endpoint]].concat());
            assert!(wishes.refused.len() == 1 && wishes.refused[0].contains(expected), "{:?}", wishes.refused);
            assert!(wishes.settings.unwrap().otlp.is_some());
        }
        assert!(read(&[("OTEL_EXPORTER_OTLP_PROTOCOL", "http/json")]).refused.is_empty(), "nothing is sent");
    }
}
