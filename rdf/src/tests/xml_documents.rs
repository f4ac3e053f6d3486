//! RDF/XML as XML says it is read: line ends, comments, sections, entities, languages, bases, XML literals, one root.

use super::*;
use oxrdf::{Literal, NamedNode};

const RDF: &str = "xmlns:rdf='http://www.w3.org/1999/02/22-rdf-syntax-ns#' xmlns:a='http://a/'";
const XML_LITERAL: &str = "http://www.w3.org/1999/02/22-rdf-syntax-ns#XMLLiteral";

fn read(text: &str) -> Result<Vec<Quad>, Fault> {
    let whole = parse_all(request(Format::RdfXml), text.as_bytes())?;
    for trickle in [1, 2, 7] {
        let cut = parse_all(request(Format::RdfXml), Trickle(text.as_bytes(), trickle)).expect("as a whole");
        assert_eq!(cut.quads, whole.quads, "{text}");
    }
    Ok(whole.quads)
}

/// The objects of the facts that the properties state.
fn objects(properties: &str) -> Vec<Term> {
    let text = format!("<rdf:RDF {RDF}><rdf:Description rdf:about='a:s'>{properties}</rdf:Description></rdf:RDF>");
    let quads = read(&text).unwrap_or_else(|fault| panic!("{properties}: {fault}"));
    quads.into_iter().map(|quad| quad.object).collect()
}

fn value(properties: &str) -> String {
    match &objects(properties)[..] {
        [Term::Literal(literal)] => literal.value().to_owned(),
        other => panic!("{properties}: {other:?}"),
    }
}

#[test]
fn an_empty_language_is_none() {
    let plain = |text: &str| Term::from(Literal::from(text));
    let english = |text: &str| Term::from(Literal::new_language_tagged_literal_unchecked(text, "en"));
    assert_eq!(objects("<a:p xml:lang=''>x</a:p>"), [plain("x")]);
    let typed = Literal::new_typed_literal("", NamedNode::new_unchecked("a:t"));
    assert_eq!(objects("<a:p xml:lang = \"\" rdf:datatype='a:t'/>"), [typed.into()]);
    let text = format!(
        "<rdf:RDF {RDF} xml:lang='en'><rdf:Description rdf:about='a:s' xml:lang='' a:q='y'><a:p>x</a:p>\
         <a:p xml:lang='en'>z</a:p></rdf:Description><rdf:Description rdf:about='a:t' a:q='w'/></rdf:RDF>"
    );
    let found: Vec<Term> = read(&text).expect("well-formed").into_iter().map(|quad| quad.object).collect();
    assert_eq!(found, [plain("y"), plain("x"), english("z"), english("w")]);
    let reserved = read(&format!("<a:b {RDF} xml:lang='x-Entail-NONE'/>")).expect_err("reserved");
    assert_eq!(reserved.reason, Reason::Unsupported);
}

#[test]
fn bases_may_be_relative_to_bases() {
    let text = |base: &str| {
        format!(
            "<rdf:RDF {RDF} xml:base='{base}'><rdf:Description rdf:about='' xml:base=''><a:p rdf:resource='x'/>\
             </rdf:Description><rdf:Description rdf:about='y' xml:base='../d/'>\
             <a:p xml:base=\"e?f&amp;g='\" rdf:resource='?h'/></rdf:Description></rdf:RDF>"
        )
    };
    let found: Vec<String> =
        read(&text("http://b/c/x#frag")).expect("well-formed").iter().map(ToString::to_string).collect();
    let expected = ["<http://b/c/x> <http://a/p> <http://b/c/x>", "<http://b/d/y> <http://a/p> <http://b/d/e?h>"];
    assert_eq!(found, expected);
    let given = ParseRequest { base_iri: Some("http://b/c/x".to_owned()), ..request(Format::RdfXml) };
    let found = parse_all(given, text("z").as_bytes()).expect("well-formed").quads;
    assert_eq!(found[0].subject.to_string(), "<http://b/c/z>");
    for bad in ["", "x", "//", "http://[/"] {
        let fault = read(&text(bad)).expect_err(bad);
        assert_eq!(fault.position.map(|at| (at.line, at.column)), Some((1, 1)), "{}", fault.message);
    }
}

#[test]
fn line_ends_are_line_feeds_and_references_stay() {
    assert_eq!(value("<a:p>a\r\nb\rc\r\r\nd\n\re</a:p>"), "a\nb\nc\n\nd\n\ne");
    assert_eq!(value("<a:p>&#xD;&#13;&#10;&#xA;</a:p>"), "\r\r\n\n");
    assert_eq!(value("<a:p><![CDATA[a\r\nb\r]]></a:p>"), "a\nb\n");
    let attributes = format!("<a:b {RDF} rdf:about='a:s' a:p='1\r\n2\r3\t4&#10;&#9;&#13;'/>");
    let found = read(&attributes).expect("well-formed");
    assert!(found.iter().any(|quad| quad.object == Literal::from("1 2 3 4\n\t\r").into()), "{found:?}");
    let lines = format!("<rdf:RDF {RDF}>\r<a:b rdf:about='a:s'/>\r\n\r<a:b rdf:about='no iri'/></rdf:RDF>");
    assert_eq!(read(&lines).expect_err("no IRI").position.map(|at| at.line), Some(4));
}

#[test]
fn comments_sections_and_instructions_do_not_divide_texts() {
    assert_eq!(value("<a:p>a<!-- > - ' -->b<?i '>?>c<![CDATA[ <d> & ]]> e </a:p>"), "abc <d> &  e ");
    assert_eq!(value("<a:p> <![CDATA[ x ]]> </a:p>"), "  x  ");
    assert_eq!(value("<a:p><![CDATA[]]></a:p>"), "");
    assert_eq!(value("<a:p><!-- only --></a:p>"), "");
    assert_eq!(objects(" <!-- between --> <a:p rdf:resource='a:o'><!-- within --></a:p> <?x y?>").len(), 1);
}

#[test]
fn entities_are_in_either_quotes() {
    let text = format!(
        "<!DOCTYPE rdf:RDF [<!ENTITY d \"it's\"><!ENTITY s 'say \"&d;\"'><!ENTITY n 'http://e/'>]>\n\
         <rdf:RDF {RDF}><rdf:Description rdf:about='&n;x'><a:p>&s;!</a:p></rdf:Description></rdf:RDF>"
    );
    let found = read(&text).expect("well-formed");
    assert_eq!(found[0].to_string(), r#"<http://e/x> <http://a/p> "say \"it's\"!""#);
}

#[test]
fn xml_literals_are_canonical() {
    let nested = "<a:p xmlns:a=\"http://a/\" xmlns:rdf=\"http://www.w3.org/1999/02/22-rdf-syntax-ns#\" \
                  rdf:parseType=\"Literal\">x</a:p>";
    let cases = [
        ("", ""),
        ("x &lt; y &amp;&#xD;", "x &lt; y &amp;&#xD;"),
        ("<b/>", "<b></b>"),
        (
            "<b z='1' y=\"2\" a:c='&quot;&#10;'>t</b >",
            "<b xmlns:a=\"http://a/\" y=\"2\" z=\"1\" a:c=\"&quot;&#xA;\">t</b>",
        ),
        ("<a:b><a:c/></a:b><a:d/>", "<a:b xmlns:a=\"http://a/\"><a:c></a:c></a:b><a:d xmlns:a=\"http://a/\"></a:d>"),
        (
            "<b xmlns='http://n/' xmlns:u='http://u/'><c xmlns=''><d xmlns='http://n/'/></c></b>",
            "<b xmlns=\"http://n/\"><c xmlns=\"\"><d xmlns=\"http://n/\"></d></c></b>",
        ),
        ("a<!-- c -->b<?i j?><![CDATA[<&]]>", "a<!-- c -->b<?i j?>&lt;&amp;"),
        ("<b xml:lang=''>\r\n</b>", "<b xml:lang=\"\">\n</b>"),
        ("<a:p rdf:parseType='Literal'>x</a:p>", nested),
    ];
    for (content, expected) in cases {
        // Other values of the attribute count as `Literal`.
        for kind in ["Literal", "daml:collection"] {
            let found = objects(&format!("<a:p rdf:parseType='{kind}'>{content}</a:p>"));
            let expected = Literal::new_typed_literal(expected, NamedNode::new_unchecked(XML_LITERAL));
            assert_eq!(found, [expected.into()], "{content}");
        }
    }
    assert_eq!(value("<a:p rdf:parseType=\"Literal\"/>"), "");
    let several = "<a:p rdf:parseType='Literal'><b/></a:p><a:p rdf:parseType='Literal'>c</a:p><a:p>d</a:p>";
    assert_eq!(objects(several).len(), 3);
    assert_eq!(objects("<a:p rdf:parseType='Literal' rdf:ID='i' xml:base='http://b/'>x</a:p>").len(), 5);
}

#[test]
fn nothing_else_says_what_the_content_is() {
    for (bad, says) in
        [("rdf:resource='a:o'", "rdf:resource"), ("a:q='x'", "a:q"), ("rdf:datatype='a:t'", "rdf:datatype")]
    {
        for kind in ["Literal", "Resource", "Collection"] {
            let text = format!("<a:b {RDF}>\n<a:p rdf:parseType='{kind}' {bad}/></a:b>");
            let fault = read(&text).expect_err(bad);
            assert_eq!((fault.reason, fault.position.as_ref().map(|at| at.line)), (Reason::Syntax, Some(2)), "{fault}");
            assert!(fault.message.contains(says), "{fault}");
        }
    }
}

#[test]
fn malformed_xml_literals_are_malformed() {
    let bad = ["<b></c>", "<b", "<b x=1/>", "<n:b/>", "<b n:c=''/>", "<b c='' c=''/>", "&nope;", "<b>&#1;</b>", "</b>"];
    for bad in bad {
        let text = format!("<rdf:RDF {RDF}>\n<a:b><a:p rdf:parseType='Literal'>{bad}</a:p></a:b></rdf:RDF>");
        let fault = read(&text).expect_err(bad);
        let found = (fault.reason, fault.position.as_ref().map(|at| at.line));
        assert_eq!(found, (Reason::Syntax, Some(2)), "{bad}: {fault}");
    }
}

#[test]
fn documents_that_are_no_xml_are_malformed() {
    let root = format!("<rdf:RDF {RDF}/>");
    let cases = [
        (String::new(), 1, 1, "empty"),
        ("<!-- c -->\n ".to_owned(), 2, 2, "empty"),
        ("<?xml version='1.0'?>\n".to_owned(), 2, 1, "empty"),
        ("just text".to_owned(), 1, 1, "text"),
        (format!("{root}\n{root}"), 2, 1, "second root"),
        (format!("{root}\ntext"), 2, 1, "text"),
        (format!("<a:b {RDF}>\n <a:c>\u{1}</a:c></a:b>"), 2, 7, "U+0001"),
        (format!("<a:b {RDF}>\n <a:c>x\u{ffff}</a:c></a:b>"), 2, 8, "U+FFFF"),
        (format!("<a:b {RDF}>\n <a:c d='\u{b}'/></a:b>"), 2, 10, "U+000B"),
        (format!("<a:b {RDF}>\n <a:c>&#1;</a:c></a:b>"), 2, 7, "&#1;"),
        (format!("<a:b {RDF}>\n <a:c>&#xFFFE;</a:c></a:b>"), 2, 7, "&#xFFFE;"),
        ("<!-- never".to_owned(), 1, 11, "ends inside"),
    ];
    for (text, line, column, says) in cases {
        let fault = read(&text).expect_err(&text);
        assert_eq!(fault.reason, Reason::Syntax, "{fault}");
        assert!(fault.message.contains(says), "{text:?}: {fault}");
        assert_eq!(fault.position.map(|at| (at.line, at.column)), Some((line, column)), "{text:?}");
    }
}
