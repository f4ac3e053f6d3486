//! Random queries and updates, within the grammar and mostly within the rules of scope.

/// The text of a number; the same for the same number.
pub(super) fn text(number: u64) -> String {
    let mut maker = Maker { state: number.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1, depth: 0, labels: 0, names: 0 };
    let body = if maker.one_in(6) { maker.update() } else { maker.query() };
    format!("PREFIX : <http://e/> PREFIX xsd: <http://www.w3.org/2001/XMLSchema#> {body}")
}

struct Maker {
    state: u64,
    depth: u32,
    labels: u32,
    names: u32,
}

const DEPTH_MAX: u32 = 4;

impl Maker {
    fn next(&mut self, below: u64) -> u64 {
        self.state ^= self.state << 13;
        self.state ^= self.state >> 7;
        self.state ^= self.state << 17;
        (self.state >> 11) % below
    }

    fn one_in(&mut self, chances: u64) -> bool {
        self.next(chances) == 0
    }

    fn pick<'p>(&mut self, list: &[&'p str]) -> &'p str {
        list[self.next(list.len() as u64) as usize]
    }

    fn times(&mut self, most: u64, separator: &str, mut make: impl FnMut(&mut Self) -> String) -> String {
        let count = self.next(most) + 1;
        (0..count).map(|_| make(self)).collect::<Vec<_>>().join(separator)
    }

    /// `deep`, or `flat` where the text is deep enough.
    fn deeper(&mut self, deep: impl FnOnce(&mut Self) -> String, flat: impl FnOnce(&mut Self) -> String) -> String {
        if self.depth >= DEPTH_MAX {
            return flat(self);
        }
        self.depth += 1;
        let made = deep(self);
        self.depth -= 1;
        made
    }

    /// A name that no other part of the text has.
    fn fresh(&mut self) -> String {
        self.names += 1;
        format!("?f{}", self.names)
    }

    fn query(&mut self) -> String {
        match self.next(8) {
            0 => format!("ASK {}", self.group()),
            1 => {
                let template = self.template();
                format!("CONSTRUCT {{ {template} }} WHERE {}{}", self.group(), self.modifiers())
            }
            2 => format!("DESCRIBE {} {}", self.pick(&["*", "?a", ":x", "?a ?b :x"]), self.group()),
            3 => format!("CONSTRUCT WHERE {{ {} }}", self.template()),
            _ => self.select(),
        }
    }

    fn select(&mut self) -> String {
        let duplicates = self.pick(&["", "", "DISTINCT ", "REDUCED "]);
        let from = self.pick(&["", "", "", "FROM :g ", "FROM NAMED :g FROM :h "]);
        let from = if self.depth == 0 { from } else { "" };
        if self.one_in(4) {
            let keys = self.pick(&["?a", "?a ?b", "?a (STR(?b) AS ?k)", "STR(?c)", "(?a + ?b)"]);
            let shown = if keys.starts_with("?a") { "?a " } else { "" };
            let aggregates = self.times(3, " ", |maker| {
                let call = maker.aggregate();
                format!("({call} AS {})", maker.fresh())
            });
            let having = if self.one_in(3) { format!(" HAVING({} > 1)", self.aggregate()) } else { String::new() };
            let order = if self.one_in(3) { format!(" ORDER BY {}", self.aggregate()) } else { String::new() };
            return format!(
                "SELECT {duplicates}{shown}{aggregates} {from}WHERE {} GROUP BY {keys}{having}{order}",
                self.group()
            );
        }
        let columns = match self.next(4) {
            0 => "*".to_owned(),
            1 => {
                let expression = self.expression();
                format!("?a ({expression} AS {}) ?b", self.fresh())
            }
            _ => self.pick(&["?a", "?b ?a", "?c ?a ?d"]).to_owned(),
        };
        format!("SELECT {duplicates}{columns} {from}WHERE {}{}", self.group(), self.modifiers())
    }

    fn modifiers(&mut self) -> String {
        let mut made = String::new();
        if self.one_in(4) {
            made.push_str(" ORDER BY ");
            let keys = self.times(2, " ", |maker| match maker.next(3) {
                0 => "?a".to_owned(),
                1 => format!("DESC({})", maker.expression()),
                _ => format!("({})", maker.expression()),
            });
            made.push_str(&keys);
        }
        made.push_str(self.pick(&["", "", " LIMIT 5", " OFFSET 2", " LIMIT 3 OFFSET 1", " OFFSET 1 LIMIT 3"]));
        if self.one_in(6) {
            made.push_str(" VALUES ?a { :x 1 UNDEF }");
        }
        made
    }

    fn aggregate(&mut self) -> String {
        let distinct = self.pick(&["", "", "DISTINCT "]);
        match self.next(4) {
            0 => format!("COUNT({distinct}*)"),
            1 => format!("GROUP_CONCAT({distinct}{}; SEPARATOR = ', ')", self.expression()),
            _ => format!(
                "{}({distinct}{})",
                self.pick(&["COUNT", "sum", "MIN", "Max", "AVG", "SAMPLE"]),
                self.expression()
            ),
        }
    }

    fn group(&mut self) -> String {
        self.deeper(
            |maker| {
                if maker.depth > 1 && maker.one_in(8) {
                    return format!("{{ {} }}", maker.select());
                }
                // Labels belong to one basic graph pattern.
                maker.labels += 1;
                format!("{{ {} }}", maker.times(4, " ", Self::element))
            },
            |maker| format!("{{ {} . }}", maker.triples()),
        )
    }

    fn element(&mut self) -> String {
        match self.next(14) {
            0 => format!("OPTIONAL {}", self.group()),
            1 => format!("MINUS {}", self.group()),
            2 => format!("{} UNION {}", self.group(), self.group()),
            3 => format!("GRAPH {} {}", self.pick(&["?g", ":g"]), self.group()),
            4 => {
                let expression = self.expression();
                self.labels += 1;
                format!("BIND({expression} AS {})", self.fresh())
            }
            5 => self
                .pick(&["VALUES ?a { 1 :x 'l'@en }", "VALUES (?a ?b) { (1 UNDEF) (:x \"y\") }", "VALUES () { () }"])
                .to_owned(),
            6 | 7 => match self.next(4) {
                0 => format!("FILTER EXISTS {}", self.group()),
                1 => format!("FILTER NOT EXISTS {}", self.group()),
                _ => format!("FILTER({})", self.expression()),
            },
            8 => self.group(),
            9 => format!("SERVICE SILENT :s {}", self.group()),
            _ => format!("{} .", self.triples()),
        }
    }

    fn triples(&mut self) -> String {
        let subject = self.node();
        let properties = self.times(2, " ; ", |maker| {
            let path = maker.path();
            let objects = maker.times(2, ", ", Self::node);
            format!("{path} {objects}")
        });
        format!("{subject} {properties}")
    }

    fn node(&mut self) -> String {
        match self.next(12) {
            0 => self.deeper(|maker| format!("[ {} {} ]", maker.path(), maker.node()), |_| "[]".to_owned()),
            1 => self.deeper(|maker| format!("( {} )", maker.times(3, " ", Self::node)), |_| "()".to_owned()),
            2 => "[]".to_owned(),
            3 => self
                .pick(&["1", "'t'", "'t'@en-GB", "\"t\"^^xsd:date", "2.5", "1e3", "true", "-3", "'''l'''"])
                .to_owned(),
            4 => format!("<<( {} :p {} )>>", self.simple(), self.simple()),
            5 => format!("<< {} :p {} >>", self.simple(), self.simple()),
            _ => self.simple(),
        }
    }

    fn simple(&mut self) -> String {
        self.pick(&["?a", "?b", "?c", "?d", ":x", ":y", "<http://e/z>"]).to_owned()
    }

    fn path(&mut self) -> String {
        if self.one_in(2) {
            return self.pick(&[":p", ":q", "a", "?p"]).to_owned();
        }
        self.deeper(
            |maker| match maker.next(7) {
                0 => format!("{}/{}", maker.path_part(), maker.path_part()),
                1 => format!("{}|{}", maker.path_part(), maker.path_part()),
                2 => format!("^{}", maker.path_part()),
                3 => format!("{}{}", maker.path_part(), maker.pick(&["*", "+", "? "])),
                4 => maker.pick(&["!:p", "!(:p|^:q)", "!(^:p|^a)", "!^:q", "!(a|:r)"]).to_owned(),
                5 => format!("{}/^{}/{}", maker.path_part(), maker.path_part(), maker.path_part()),
                _ => maker.path_part(),
            },
            |_| ":p".to_owned(),
        )
    }

    fn path_part(&mut self) -> String {
        if self.one_in(3) {
            let mut inner = self.path();
            if inner == "?p" {
                inner = ":r".to_owned();
            }
            return format!("({inner})");
        }
        self.pick(&[":p", ":q", "a"]).to_owned()
    }

    fn expression(&mut self) -> String {
        self.deeper(
            |maker| {
                let (a, b) = (maker.expression(), maker.expression());
                match maker.next(16) {
                    0 => format!("{a} || {b}"),
                    1 => format!("({a} && {b} && ?c)"),
                    2 => format!("({a}) {} ({b})", maker.pick(&["=", "!=", "<", ">", "<=", ">="])),
                    3 => format!("({a}) + {b}"),
                    4 => format!("({a}) - ({b}) * 2"),
                    5 => format!("({a} / 3 -1 +2 -4*?b)"),
                    6 => format!("{}({a})", maker.pick(&["!", "-", "+", "STR", "isIRI", "xsd:integer", ":f", "ABS"])),
                    7 => format!("({a}) {} ({b}, 1)", maker.pick(&["IN", "NOT IN"])),
                    8 => format!("IF({a}, {b}, ?c)"),
                    9 => format!("COALESCE({a}, {b})"),
                    10 => format!("sameTerm({a}, {b})"),
                    11 => format!("REGEX(STR({a}), '^a', 'i')"),
                    12 => format!("CONCAT({a}, {b}, 'x')"),
                    13 => format!("TRIPLE({a}, :p, {b})"),
                    14 => "BOUND(?a)".to_owned(),
                    _ => format!("({a})"),
                }
            },
            |maker| maker.pick(&["?a", "?b", "1", "-2", "+3.5", "'s'", ":x", "true", "NOW()", "RAND()"]).to_owned(),
        )
    }

    /// Triples without paths.
    fn template(&mut self) -> String {
        self.times(3, " . ", |maker| {
            let subject = maker.pick(&["?a", ":x", "[]", "[ :q ?b ]", "(1 ?b)"]);
            let object = maker.pick(&["?a", "?b", "1", ":y", "[ :r ?c ]", "'t'@en"]);
            let predicate = maker.pick(&["?p", ":p", "a"]);
            format!("{subject} {predicate} {object}")
        })
    }

    fn update(&mut self) -> String {
        self.times(2, " ; ", |maker| match maker.next(9) {
            0 => maker.pick(&["CLEAR ALL", "DROP SILENT GRAPH :g", "CREATE GRAPH :g", "CLEAR DEFAULT"]).to_owned(),
            1 => maker.pick(&["COPY :g TO DEFAULT", "MOVE SILENT GRAPH :g TO :h", "ADD DEFAULT TO :g"]).to_owned(),
            2 => maker.pick(&["LOAD :f", "LOAD SILENT :f INTO GRAPH :g"]).to_owned(),
            3 => "INSERT DATA { :a :p 1 , [ :q 'x'@en ] . GRAPH :g { :b a (:c 2) } }".to_owned(),
            4 => "DELETE DATA { :a :p 1 . GRAPH :g { :b :q true } }".to_owned(),
            5 => "DELETE WHERE { ?a :p ?b . GRAPH ?g { ?b :q 1 } }".to_owned(),
            6 => format!("DELETE {{ ?a :p ?b }} INSERT {{ {} }} WHERE {}", maker.template(), maker.group()),
            7 => format!("WITH :g DELETE {{ ?a ?p ?b . GRAPH :h {{ ?a :p 1 }} }} WHERE {}", maker.group()),
            _ => format!("INSERT {{ {} }} USING :g USING NAMED :h WHERE {}", maker.template(), maker.group()),
        })
    }
}
