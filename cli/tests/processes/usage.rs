//! Wrong input on the command line: one clear line and the documented exit code.

use crate::harness::{Cluster, Running, Shape, entail, free_address};
use std::process::Stdio;
use std::time::Instant;

/// A command line, its exit code, and what its message must contain.
type Case<'a> = (&'a [&'a str], i32, &'a str);

fn check(server: &str, (arguments, code, expected): Case<'_>) {
    let mut command = entail(arguments);
    if !arguments.contains(&"--server") {
        command.args(["--server", server]);
    }
    let started = Instant::now();
    let done = Running::new(command, Stdio::null()).done();
    assert_eq!(done.code, Some(code), "{arguments:?}: {}", done.err);
    assert!(done.err.starts_with("error: "), "{arguments:?}: {}", done.err);
    assert!(done.err.contains(expected), "{arguments:?}: {}", done.err);
    // An error of usage is followed by a pointer to the help, an error in a text by the line in question.
    let alone = done.err.lines().take_while(|line| !line.is_empty() && !line.starts_with("  ")).count();
    assert_eq!(alone, 1, "{arguments:?} says more than one line: {}", done.err);
    assert_eq!(done.out, "", "{arguments:?}");
    assert!(started.elapsed().as_secs() < 20, "{arguments:?} took {:?}", started.elapsed());
}

#[test]
fn wrong_command_lines_are_told() {
    let nobody = format!("http://{}", free_address());
    let cases: [Case<'_>; 37] = [
        (&["load", "/nowhere/data.nt"], 1, "/nowhere/data.nt: No such file or directory"),
        (&["load", "/"], 1, "/: is a directory; name the files in it: entail load /*"),
        (&["load", "https://e/x.ttl.gz"], 2, "curl -fsSL https://e/x.ttl.gz | entail load - --format turtle"),
        (&["load", "file:///nowhere/data.nt"], 1, "/nowhere/data.nt: No such file or directory"),
        (&["rules", "apply", "http://e/r.srl"], 2, "| entail rules apply - --name r"),
        (&["convert", "/dev/null", "b.txt"], 2, "b.txt has no known extension: use --to FORMAT"),
        (&["convert", "/dev/null", "/nowhere/b.nt", "--from", "turtle"], 1, "/nowhere/b.nt: No such file or directory"),
        (&["convert", "/nowhere/a.ttl", "b.txt"], 1, "/nowhere/a.ttl: No such file or directory"),
        (&["convert", "/nowhere"], 1, "/nowhere: No such file or directory"),
        (&["load", "-"], 2, "use --format"),
        (&["rules", "apply", "/nowhere/r.srl"], 1, "/nowhere/r.srl: No such file or directory"),
        (&["query", "-f", "/nowhere/q.rq"], 1, "/nowhere/q.rq: No such file or directory"),
        (&["query", "ASK {}"], 3, "cannot reach http://127.0.0.1:"),
        (&["load", "/dev/null", "--format", "nt"], 3, "cannot reach http://127.0.0.1:"),
        (&["dump"], 3, "(NOT_READY; safe to retry)"),
        (
            &["rules", "list"],
            3,
            "Connection refused (os error 111); is `entail serve` running? see --server (NOT_READY; safe to retry)",
        ),
        (&["status", "--wait", "--timeout", "700ms"], 4, "not ready after"),
        (
            &["query", "ASK {}", "--server", "not a url"],
            2,
            "`not a url` is not the URL of a server such as http://127.0.0.1:7400",
        ),
        (&["query", "ASK {}", "--server", "ftp://127.0.0.1:1"], 2, "`ftp://127.0.0.1:1` is not the URL of a server"),
        (&["query", "ASK {}", "--server", "https://127.0.0.1:1"], 2, "only http:// is supported"),
        (&["query", "ASK {}", "--timeout", "5 elephants"], 2, "`5 elephants` is not a time such as 500ms"),
        (&["query", "ASK {}", "--timeout", "0"], 2, "`none` sets no limit"),
        (&["serve", "--data", "/tmp/x", "--listen", ":7500"], 2, "0.0.0.0:7500 every network"),
        (&["serve", "--data", "/tmp/x", "--listen", "127.0.0.1"], 2, "has no port, as in 127.0.0.1:7400"),
        (&["node", "--data", "/tmp/x", "--coordinator", "h", "--advertise", "me"], 2, "has no port, as in me:7401"),
        (&["query"], 2, "query"),
        (
            &["node", "--data", "/tmp/x", "--coordinator", "h:1", "--memory", "lots"],
            2,
            "`lots` is not a size such as 2GiB",
        ),
        (&["serve", "--data", "/tmp/x", "--nodes", "0"], 2, "--nodes"),
        (&["serve"], 2, "--data"),
        (&["serve", "--data", "/tmp/x", "--shards", "3"], 2, "must be a power of two between 1 and 32768, not 3"),
        (&["serve", "--data", "/tmp/x", "--memory", "0"], 2, "less than 1MiB"),
        (&["serve", "--data", "/tmp/x", "--query-timeout", "0s"], 2, "`0s` must be positive"),
        (&["serve", "--data", "/tmp/x", "--threads", "0"], 2, "--threads"),
        (&["coordinator", "--data", "/tmp/x", "--min-nodes", "0"], 2, "--min-nodes"),
        (
            &["node", "--data", "/tmp/x", "--coordinator", "http://h:1", "--name", "two\twords"],
            2,
            "no control characters",
        ),
        (&["elephant"], 2, "elephant"),
        (&["query", "ASK {}", "--config", "/nowhere/entail.toml"], 2, "/nowhere/entail.toml"),
    ];
    cases.into_iter().for_each(|case| check(&nobody, case));
}

#[test]
fn roles_that_cannot_start_say_why() {
    let place = tempfile::tempdir().unwrap();
    let data = crate::harness::text(place.path());
    let (free, other, file) = (free_address(), free_address(), format!("{data}/file"));
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = taken.local_addr().unwrap().to_string();
    std::fs::write(&file, "x").unwrap();
    let run = |arguments: &[&str], code: i32, expected: &str| {
        let done = Running::new(entail(arguments), Stdio::null()).done();
        assert_eq!(done.code, Some(code), "{arguments:?}: {}", done.err);
        let said = done.err.lines().find(|line| line.starts_with("error: ")).unwrap_or_default();
        assert!(said.contains(expected), "{arguments:?}: {}", done.err);
    };
    let coordinator = |data: &str, listen: &str, shards: &str, code, expected: &str| {
        run(
            &["coordinator", "--data", data, "--listen", listen, "--peer-listen", &other, "--shards", shards],
            code,
            expected,
        );
    };
    coordinator(data, &taken, "4", 1, &format!("cannot listen on {taken}"));
    coordinator(&format!("{data}/c"), &free, "12", 2, "12");
    coordinator(&format!("{file}/c"), &free, "4", 1, &format!("data directory {file}/c"));
    let node = |data: &str, coordinator: &str, listen: &str, code, expected: &str| {
        run(&["node", "--data", data, "--coordinator", coordinator, "--peer-listen", listen], code, expected);
    };
    node(&format!("{data}/n"), "not a url", "127.0.0.1:0", 2, "`not a url` is not the URL of a server");
    node(&format!("{data}/n"), &free, "0.0.0.0:0", 2, "use --advertise");
    node(&format!("{data}/n"), &free, &taken, 1, &format!("cannot listen on {taken}"));
}

#[test]
fn wrong_requests_are_told() {
    let cluster = Cluster::of(Shape { nodes: 1, ..Shape::default() });
    let rules = cluster.file("bad.srl", "RULE { ?s ex:p ?o } WHERE { ?s ?p ?o }");
    let unsafe_rule = cluster.file("unsafe.srl", "RULE { ?x <urn:q> ?y }\nWHERE { ?x <urn:p> ?z }");
    let good = cluster.file("good.nt", "<urn:a> <urn:p> <urn:b> .\n");
    let cases: [Case<'_>; 17] = [
        (&["query", &good], 2, "good.nt is a file: use --file "),
        (&["query", "ASK {}", "--rows-max", "many"], 2, "many"),
        // As by an unset variable of a script.
        (&["load", &good, "--graph", ""], 2, "--graph"),
        (&["dump", "--graph", ""], 2, "--graph"),
        (&["update", "INSERT DATA {}", "--request-id", ""], 2, "--request-id"),
        (&["load", &good, "--commit-every", "0"], 2, "--commit-every"),
        (&["query", "SELECT * {\n ?s ?p }"], 1, "error: query:2:"),
        // The declaration of a known prefix does not shift the position.
        (&["query", "SELECT * { ?s a rdfs:Class\n . ?s ?p }"], 1, "error: query:2:"),
        (&["update", "INSERT DATA { <urn:a> rdfs:label }"], 1, "error: update:1:"),
        (&["query", "SELECT * { ?s ex:p ?o }"], 1, "error: query:1:"),
        (&["rules", "apply", &rules], 1, "bad.srl:1:11: "),
        (&["rules", "apply", &unsafe_rule], 1, "unsafe.srl:1:"),
        (&["rules", "drop", "nothing"], 1, "there is no rule set nothing"),
        (&["load", &good, "--graph", "no iri"], 1, "no iri is not an IRI"),
        (&["dump", "--graph", "no iri"], 1, "no iri is not an IRI"),
        (&["dump", "--epoch", "99"], 3, "epoch 99 is not there yet"),
        (&["query", "ASK {}", "--at-least-epoch", "99", "--timeout", "2s"], 3, "epoch 99 is not there yet"),
    ];
    cases.into_iter().for_each(|case| check(cluster.server(), case));
    assert!(cluster.dump("all").is_empty());
}

/// Variables for other programs, and empty ones, do not make a command fail.
#[test]
fn the_environment_of_others_is_no_obstacle() {
    let cluster = Cluster::of(Shape { nodes: 1, ..Shape::default() });
    let ask = |variables: &[(&str, &str)], arguments: &[&str]| {
        let mut command = cluster.command(&[&["query", "ASK {}"], arguments].concat());
        command.envs(variables.iter().copied());
        let done = Running::new(command, Stdio::null()).done();
        assert_eq!((done.code, done.out.as_str()), (Some(0), "true\n"), "{variables:?}: {}", done.err);
        done.err
    };
    let quiet = ["--quiet"];
    for (name, value) in [
        ("OTEL_TRACES_EXPORTER", "zipkin"),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/json"),
        ("OTEL_TRACES_SAMPLER", "xray"),
        ("OTEL_BSP_MAX_QUEUE_SIZE", "many"),
        ("OTEL_PROPAGATORS", "b3"),
        ("OTEL_EXPORTER_OTLP_CERTIFICATE", "/nowhere.pem"),
    ] {
        let variables = [("OTEL_EXPORTER_OTLP_ENDPOINT", "https://127.0.0.1:9"), (name, value)];
        let said = ask(&variables, &[]);
        // The failed connection to the collector is reported in another line.
        let warnings: Vec<&str> = said.lines().filter(|line| line.contains("are ignored")).collect();
        assert!(warnings.len() == 1 && warnings[0].contains(value), "{name}: {said}");
        assert_eq!(ask(&variables, &quiet), "", "{name}");
    }
    for (name, value) in [
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf"),
        ("OTEL_EXPORTER_OTLP_COMPRESSION", "zstd"),
        ("OTEL_SDK_DISABLED", "true"),
        ("OTEL_METRICS_EXPORTER", "prometheus"),
    ] {
        let variables = [("OTEL_EXPORTER_OTLP_ENDPOINT", "https://127.0.0.1:9"), (name, value)];
        let said = ask(&variables, &[]);
        assert!(!said.contains("are ignored"), "{name}: {said}");
    }
    let said = ask(&[("OTEL_TRACES_EXPORTER", "console")], &[]);
    assert!(said.lines().any(|line| line.starts_with("span query ")), "{said}");
    let empty = ["ENTAIL_TIMEOUT", "ENTAIL_OUTPUT", "ENTAIL_CONFIG", "ENTAIL_LOG_FORMAT", "ENTAIL_LOG"];
    assert_eq!(ask(&empty.map(|name| (name, "")), &quiet), "");
    let mut role = entail(&["serve", "--data", "/nowhere/data"]);
    role.env("OTEL_TRACES_EXPORTER", "zipkin");
    let done = Running::new(role, Stdio::null()).done();
    assert_eq!(done.code, Some(2), "{}", done.err);
    assert!(done.err.contains("OTEL_TRACES_EXPORTER=zipkin: otlp, console and none are supported"), "{}", done.err);
}

#[test]
fn a_value_says_where_it_comes_from() {
    let place = tempfile::tempdir().unwrap();
    let file = place.path().join("config.toml");
    std::fs::write(&file, "timeout = \"often\"\n[prefixes]\nex = \"http://e/\"\n").unwrap();
    let run = |variables: &[(&str, &str)], arguments: &[&str]| {
        let mut command = entail(arguments);
        command.envs(variables.iter().copied());
        Running::new(command, Stdio::null()).done()
    };
    let config = [("ENTAIL_CONFIG", crate::harness::text(&file))];
    let done = run(&config, &["status"]);
    assert_eq!(done.code, Some(2), "{}", done.err);
    let expected = format!("{}: `timeout`: `often` is not a time such as", file.display());
    assert!(done.err.contains(&expected), "{}", done.err);
    let done = run(&[("ENTAIL_SERVER", "not a url")], &["status"]);
    assert!(done.err.contains("(the value is that of the environment variable ENTAIL_SERVER)"), "{}", done.err);
    // The user's own configuration directory.
    std::fs::create_dir(place.path().join("entail")).unwrap();
    std::fs::write(place.path().join("entail/config.toml"), "server = \"h:1\"\n[prefixes]\nex = \"http://e/\"\n")
        .unwrap();
    let own = [("ENTAIL_CONFIG", ""), ("XDG_CONFIG_HOME", crate::harness::text(place.path())), ("ENTAIL_NODES", "3")];
    let shown: serde_json::Value =
        serde_json::from_str(&run(&own, &["config", "show", "--output", "json", "--timeout", "5"]).out).unwrap();
    let setting = |name: &str| shown["settings"].as_array().unwrap().iter().find(|one| one["name"] == name).unwrap();
    for (name, value, from) in [
        ("server", "h:1", "file"),
        ("timeout", "5", "flag"),
        ("serve.nodes", "3", "environment"),
        ("load.skip-max", "1000", "default"),
    ] {
        assert_eq!((&setting(name)["value"], &setting(name)["from"]), (&value.into(), &from.into()), "{name}");
    }
    assert_eq!(shown["prefixes"]["ex"], "http://e/");
}
