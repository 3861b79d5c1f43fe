//! Papers as other programs read them: qpdf checks the file, poppler reads its words, marks and attachments.

#![expect(clippy::unwrap_used, reason = "a test says what is wrong by ending")]

use std::{collections::BTreeMap, path::PathBuf, process::Command, sync::LazyLock};

use chrono::{DateTime, NaiveDate, Utc};
use samspil_paper::{
    Approval, Attachment, ChainGoal, Held, Meeting, Paper, Previous, PreviousGoal, Printer, Proof, Section, SectionKind, Signatory,
    Standing,
};
use serde_json::{Value, json};
use uuid::Uuid;

static PRINTER: LazyLock<Printer> = LazyLock::new(|| Printer::new(2));

fn at(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

fn day(text: &str) -> NaiveDate {
    text.parse().unwrap()
}

fn words(text: &str) -> Value {
    json!({ "type": "text", "text": text, "marks": [] })
}

#[expect(clippy::needless_pass_by_value, reason = "made where it is given")]
fn node(kind: &str, content: Vec<Value>) -> Value {
    json!({ "type": kind, "attrs": {}, "content": content })
}

fn paragraph(text: &str) -> Value {
    node("paragraph", vec![words(text)])
}

fn bullets(texts: &[&str]) -> Value {
    node("bullet_list", texts.iter().map(|text| node("list_item", vec![paragraph(text)])).collect())
}

fn cell(kind: &str, columns: u32, rows: u32, text: &str) -> Value {
    json!({ "type": kind, "attrs": { "colspan": columns, "rowspan": rows }, "content": [paragraph(text)] })
}

fn heading(level: u32, text: &str) -> Value {
    json!({ "type": "heading", "attrs": { "level": level }, "content": [words(text)] })
}

/// A goal with everything that a goal can have.
fn goal(id: &str, origin: &str, title: &str) -> Value {
    json!({
        "id": id, "title": [paragraph(title)], "origin": origin, "rank": "a0", "due": "2027-06-01",
        "body": [paragraph("Vi øver os hver dag."), heading(2, "Baggrund"), paragraph("Det gik sådan.")],
        "success": [bullets(&["Fraværet er højst 5,8 procent.", "Ingen mangler en plan."])],
        "responsible": [paragraph("Skolelederen")],
        "actions": [{ "id": "a1", "text": [paragraph("Ring hjem samme dag")], "responsible": [paragraph("Kontaktlærerne")],
                      "due": "2027-02-01", "rank": "a0" }],
        "indicators": [{ "id": "i1", "name": [paragraph("Elevfravær i alt")], "source": [paragraph("Skolens system")], "unit": "procent",
                         "direction": "down", "frequency": "monthly", "baseline": "6.9", "target": "5.8" }],
        "links": [{ "id": "l1", "target": "s1", "relation": "implements", "reason": [paragraph("Fordi det hænger sammen.")] },
                  { "id": "l2", "target": "nowhere", "relation": "contributes_to", "reason": [] }],
    })
}

/// Content with every element and mark of the schema.
fn rich() -> Value {
    let marked = |text: &str, marks: &[&str]| {
        let mark = |name: &&str| match *name {
            "link" => json!({ "type": "link", "attrs": { "href": "https://klitfjord.example/skoler" } }),
            name => json!({ "type": name, "attrs": {} }),
        };
        json!({ "type": "text", "text": text, "marks": marks.iter().map(mark).collect::<Vec<_>>() })
    };
    let line = node(
        "paragraph",
        vec![
            words("Først "),
            marked("fed", &["strong"]),
            words(" og "),
            marked("skrå fed", &["strong", "em"]),
            node("hard_break", vec![]),
            marked("skolernes side", &["link"]),
        ],
    );
    let table = node(
        "table",
        vec![
            node("table_row", vec![cell("table_header", 1, 1, "År"), cell("table_header", 2, 1, "Elever")]),
            node(
                "table_row",
                vec![cell("table_cell", 1, 2, "2027"), cell("table_cell", 1, 1, "512"), cell("table_cell", 1, 1, "heraf 40 nye")],
            ),
            node("table_row", vec![cell("table_cell", 2, 1, "i to spor")]),
        ],
    );
    let first = node("list_item", vec![paragraph("første punkt"), bullets(&["under det", "også under det"])]);
    let nested = node("ordered_list", vec![first, node("list_item", vec![paragraph("andet punkt")])]);
    json!({
        "schema": 1, "template": "t",
        "sections": {
            "kerneopgave": [line, heading(3, "Mellemrubrik"), nested, table],
            "opfoelgning": [paragraph("Vi nåede det meste.")],
        },
        "goals": [goal("g1", "political", "Flere dage i skole"), goal("g2", "local", "Åben skole om eftermiddagen")],
    })
}

fn signatory(name: &str, title: &str) -> Signatory {
    Signatory { name: name.into(), title: title.into() }
}

fn approvals() -> Vec<Option<Approval>> {
    let approval = |by: Signatory, on_behalf_of: Option<Signatory>, moment: &str| {
        Some(Approval { by, on_behalf_of, at: at(moment), level: Some("Betydelig".into()), proof: Proof::SignIn })
    };
    vec![
        approval(signatory("Hanne Påfundsen", "Skoleleder"), None, "2026-11-20T11:47:00Z"),
        approval(signatory("Karen Prøve", "Souschef"), Some(signatory("Esben Opdigtsen", "Skolechef")), "2026-11-23T12:31:00Z"),
    ]
}

fn chain_goal(code: &str, title: &str, level: u8, parents: &[&str]) -> ChainGoal {
    let parents = parents.iter().map(|parent| (*parent).to_owned()).collect();
    let document = "Strategi for børns sprog: Tidligt på vej".into();
    ChainGoal { code: code.into(), title: title.into(), document, level, adopted: true, parents }
}

fn paper(content: &Value, standing: Standing) -> Paper {
    let section = |key: &str, title: &str, kind| Section { key: key.into(), title: title.into(), kind };
    let previous_goal = PreviousGoal {
        code: "1".into(),
        title: "Fravær under seks procent".into(),
        status: Some("Delvist nået".into()),
        notes: vec![("Årsstatus".into(), day("2026-11-01"), "Vi kom på 6,9.".into())],
    };
    Paper {
        document: Uuid::from_u128(7),
        content: content.to_string().into_bytes(),
        municipality: "Klitfjord Kommune".into(),
        title: "Aftale 2027".into(),
        unit: Some("Fjordskolen".into()),
        version: 2,
        standing,
        parties: vec![signatory("Hanne Påfundsen", "Skoleleder"), signatory("Esben Opdigtsen", "Skolechef")],
        period: Some((day("2027-01-01"), day("2027-12-31"))),
        budget_frame_dkk: Some(41_200_000),
        sections: vec![
            section("parter", "Parter og periode", SectionKind::Parties),
            section("kerneopgave", "Kerneopgave", SectionKind::Text),
            section("opfoelgning", "Opfølgning på aftalen for 2026", SectionKind::TextWithPrevious),
            section("politiske_maal", "Mål, der understøtter de politiske mål", SectionKind::Goals(Some("political".into()))),
            section("egne_maal", "Enhedens egne mål", SectionKind::Goals(Some("local".into()))),
            section("vaerdier", "Værdierne hos os", SectionKind::Text),
            section("dialog", "Dialogen bag aftalen", SectionKind::Dialogue),
            section("underskrift", "Underskrift", SectionKind::Signatures),
        ],
        chain: BTreeMap::from([
            ("v1".to_owned(), chain_goal("V1", "Nysgerrige børn og unge", 0, &[])),
            ("s1".to_owned(), chain_goal("S1", "Tidlig sprogindsats", 2, &["v1"])),
        ]),
        previous: Some(Previous { title: "Aftale 2026".into(), goals: vec![previous_goal] }),
        meetings: vec![Meeting {
            number: 1,
            at: at("2026-11-17T12:00:00Z"),
            held: Held::Held,
            participants: vec!["Hanne Påfundsen".into(), "Esben Opdigtsen".into()],
            political: true,
            executive: true,
        }],
        demonstration: false,
        attachments: vec![],
    }
}

fn draft() -> Standing {
    Standing::Draft { at: at("2026-11-24T12:31:00Z") }
}

fn signed() -> Standing {
    Standing::Frozen { revision: 31, at: Some(at("2026-11-19T08:00:00Z")), approvals: approvals() }
}

fn print(paper: &Paper) -> Vec<u8> {
    PRINTER.print_now(paper).unwrap_or_else(|error| panic!("{error}: {error:?}"))
}

/// A PDF on disk for other programs to read, as long as it is looked at.
struct File(PathBuf);

impl File {
    fn of(pdf: &[u8]) -> Self {
        let path = std::env::temp_dir().join(format!("samspil-paper-{}-{}.pdf", std::process::id(), Uuid::new_v4()));
        std::fs::write(&path, pdf).unwrap();
        Self(path)
    }

    fn ask(&self, program: &str, before: &[&str], after: &[&str]) -> Vec<u8> {
        let output = Command::new(program).args(before).arg(&self.0).args(after).output();
        let output = output.unwrap_or_else(|error| panic!("{program}: {error}; on Debian: apt-get install poppler-utils qpdf"));
        assert!(output.status.success(), "{program}: {}", String::from_utf8_lossy(&output.stderr));
        output.stdout
    }

    fn say(&self, program: &str, before: &[&str]) -> String {
        String::from_utf8(self.ask(program, before, &[])).unwrap()
    }

    fn text(&self) -> String {
        String::from_utf8(self.ask("pdftotext", &[], &["-"])).unwrap()
    }

    /// What qpdf and poppler say of it, apart from its words.
    fn assert_well_made(&self) {
        let checked = self.say("qpdf", &["--check"]);
        assert!(checked.contains("No syntax or stream encoding errors found"), "{checked}");
        let info = self.say("pdfinfo", &[]);
        assert!(info.lines().any(|line| line.starts_with("Tagged:") && line.ends_with("yes")), "{info}");
        let meta = self.say("pdfinfo", &["-meta"]);
        for said in ["<pdfaid:part>3</pdfaid:part>", "<pdfaid:conformance>A</pdfaid:conformance>", "<pdfuaid:part>1</pdfuaid:part>"] {
            assert!(meta.contains(said), "{said} is missing: {meta}");
        }
        let objects = self.say("qpdf", &["--json", "--json-key=qpdf"]);
        assert!(objects.contains(r#""/Lang": "u:da"#), "the language is not said");
    }
}

impl Drop for File {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

/// Every word in these nodes, in their order.
fn words_of(value: &Value) -> Vec<String> {
    match value {
        Value::Array(nodes) => nodes.iter().flat_map(words_of).collect(),
        Value::Object(node) => match node.get("text") {
            Some(Value::String(text)) => text.split_whitespace().map(str::to_owned).collect(),
            _ => words_of(&node["content"]),
        },
        _ => Vec::new(),
    }
}

/// The text as words, with those that a line's end divided put together again.
fn read(text: &str) -> Vec<String> {
    let joined = text.replace("\u{AD}\n", "").replace(['\u{200B}', '\u{AD}'], "");
    joined.split_whitespace().map(str::to_owned).collect()
}

fn assert_in_order(wanted: &[String], found: &[String]) {
    assert!(!wanted.is_empty());
    let mut rest = found.iter();
    for word in wanted {
        assert!(rest.any(|one| one == word), "the paper lacks {word:?} at its place: {found:?}");
    }
}

#[test]
fn a_signed_agreement_is_archival_accessible_and_says_everything() {
    let content = rich();
    let mut paper = paper(&content, signed());
    paper.attachments = vec![Attachment {
        name: "segl-modpart.jws".into(),
        media_type: "application/jose".into(),
        description: "Kommunens segl".into(),
        bytes: b"e30.e30.AA".to_vec(),
    }];
    let file = File::of(&print(&paper));
    file.assert_well_made();
    let found = read(&file.text());
    assert_in_order(&[words_of(&content["sections"]["kerneopgave"]), words_of(&content["sections"]["opfoelgning"])].concat(), &found);
    for goal in content["goals"].as_array().unwrap() {
        for field in ["title", "body", "success", "responsible"] {
            assert_in_order(&words_of(&goal[field]), &found);
        }
        for (item, field) in [("indicators", "name"), ("indicators", "source"), ("actions", "text"), ("actions", "responsible")] {
            assert_in_order(&words_of(&goal[item][0][field]), &found);
        }
    }
    let flowing = found.join(" ");
    for said in [
        "Mellem Hanne Påfundsen, skoleleder og Esben Opdigtsen, skolechef.",
        "Gælder fra den 1. januar til den 31. december 2027.",
        "Budgetrammen er 41,2 mio. kr.",
        "V1 Nysgerrige børn og unge · Strategi for børns sprog",
        "Udmønter S1 Tidlig sprogindsats · Strategi for børns sprog Fordi det hænger sammen.",
        "Målet ovenfor findes ikke længere i styringskæden.",
        "6,9 5,8 procent Hver måned",
        "1 Fravær under seks procent – Delvist nået Årsstatus, 1. november 2026: Vi kom på 6,9.",
        "1. dialogmøde, tirsdag den 17. november 2026. De politiske mål og direktionens mål er drøftet.",
        "Med Hanne Påfundsen og Esben Opdigtsen.",
        "på vegne af Esben Opdigtsen, skolechef",
        "fredag den 20. november 2026 kl. 12.47",
        "En godkendelse med bevis, ikke en kvalificeret elektronisk signatur.",
    ] {
        assert!(flowing.contains(said), "the paper does not say {said:?}: {flowing}");
    }
    assert!(!flowing.contains("Kladde") && !flowing.contains("Ikke udfyldt"), "a signed text has no empty places: {flowing}");
    let attached = file.ask("qpdf", &["--show-attachment=indhold.json"], &[]);
    assert!(attached == paper.content, "the content goes along, byte for byte");
    let listed = file.say("pdfdetach", &["-list"]);
    assert!(listed.contains("segl-modpart.jws"), "{listed}");
}

#[test]
fn goals_are_numbered_as_they_are_read_and_not_as_they_are_kept() {
    let mut content = rich();
    content["goals"].as_array_mut().unwrap().reverse();
    let text = read(&File::of(&print(&paper(&content, signed()))).text()).join(" ");
    for said in ["1 Flere dage i skole", "2 Åben skole om eftermiddagen"] {
        assert!(text.contains(said), "{said}: {text}");
    }
}

#[test]
fn a_draft_is_marked_on_every_page_and_has_no_signature_page() {
    let file = File::of(&print(&paper(&rich(), draft())));
    file.assert_well_made();
    let text = file.text();
    let pages: Vec<&str> = text.split('\u{c}').filter(|page| !page.trim().is_empty()).collect();
    assert!(pages.len() >= 2);
    for page in pages {
        assert!(page.contains("Kladde, ikke underskrevet"), "{page}");
    }
    assert!(text.contains("Kladde, som den stod tirsdag den 24. november 2026 kl. 13.31."));
    assert!(read(&text).join(" ").contains("Værdierne hos os Ikke udfyldt."), "{text}");
    assert!(!text.contains("Underskrift") && !text.contains("SHA-256"), "{text}");
}

#[test]
fn a_half_signed_agreement_says_who_has_not_signed() {
    let mut standing = signed();
    if let Standing::Frozen { approvals, .. } = &mut standing {
        approvals[1] = None;
    }
    let paper = Paper { demonstration: true, ..paper(&rich(), standing) };
    let text = read(&File::of(&print(&paper)).text()).join(" ");
    for said in ["Underskrevet af én part", "Ikke underskrevet endnu", "Lavet i en demonstration. Det beviser intet om nogen."] {
        assert!(text.contains(said), "{said}: {text}");
    }
}

#[test]
fn a_demonstration_is_never_called_an_approval() {
    let mut standing = signed();
    let Standing::Frozen { approvals, .. } = &mut standing else { unreachable!() };
    for approval in approvals.iter_mut().flatten() {
        (approval.proof, approval.level) = (Proof::Demonstration, None);
    }
    let mut half = standing.clone();
    let Standing::Frozen { approvals, .. } = &mut half else { unreachable!() };
    approvals[1] = None;
    let mut mixed = standing.clone();
    let Standing::Frozen { approvals, .. } = &mut mixed else { unreachable!() };
    approvals[1].as_mut().unwrap().proof = Proof::SignIn;
    for (standing, says) in [
        (standing, "ingen har godkendt teksten, og ingen er logget ind. De beviser intet."),
        (half, "er vist som underskrevet af den ene part"),
        (mixed, "ingen har givet den, og den beviser intet."),
    ] {
        let text = read(&File::of(&print(&Paper { demonstration: true, ..paper(&rich(), standing) })).text()).join(" ");
        for said in ["Vist som underskrevet i en demonstration", "Lavet i en demonstration. Det beviser intet om nogen.", says] {
            assert!(text.contains(said), "{said}: {text}");
        }
        for never in ["Kladde", "Begge parter har godkendt", "Én af parterne har godkendt", "En godkendelse med bevis", "Underskrevet af"]
        {
            assert!(!text.contains(never), "{never}: {text}");
        }
    }
}

#[test]
fn nothing_that_is_signed_is_left_out_because_the_template_has_no_place_for_it() {
    let mut content = rich();
    content["sections"]["ukendt"] = json!([paragraph("Et afsnit uden plads.")]);
    content["goals"].as_array_mut().unwrap().push(goal("g3", "fremmed", "Et mål uden plads"));
    let text = read(&File::of(&print(&paper(&content, signed()))).text()).join(" ");
    for said in ["ukendt Et afsnit uden plads.", "Øvrige mål", "3 Et mål uden plads"] {
        assert!(text.contains(said), "{said}: {text}");
    }
}

#[test]
fn the_same_paper_is_the_same_bytes_whatever_was_printed_before_it() {
    let paper = paper(&rich(), signed());
    let first = print(&paper);
    print(&Paper { title: "Noget andet".into(), ..paper.clone() });
    assert!(print(&paper) == first);
    assert!(Printer::new(1).print_now(&paper).unwrap() == first);
    assert!(print(&Paper { version: 3, ..paper }) != first);
}

#[test]
fn words_are_never_markup_and_what_cannot_be_shown_is_spelled_out() {
    let hostile = [
        "#panic(\"ud\") #import \"/paper.typ\": * $ x^2 $ *fed* _skrå_ <mærke> @henvisning `kode` // intet /* intet */ \\ ~ = Rubrik",
        "#include \"/etc/passwd\" #read(\"/paper.json\") #(1/0) ]] }} #while true {}",
        "👩‍👩‍👧‍👦 😀 🇩🇰 🧑🏽‍🚒 ❤️",
        "שלום עולם مرحبا بالعالم",
        "\u{202E}vendt\u{202C} \u{FFFE}\u{FFFF}\u{FEFF} \u{1}\u{7F}\u{E000} \u{10FFFF}",
        "e\u{301} a\u{30A} x\u{350}\u{351}\u{352} \u{200B}\u{200D}\u{AD}",
        "中文 한국어 ไทย हिन्दी",
        "𝔘𝔫𝔦 ﬁ ǅ ½ ‰ № ☃ ⟦⟧ →",
        "a\tb\u{2028}c\rd\ne",
    ];
    let mut nodes: Vec<Value> = hostile.iter().map(|text| paragraph(text)).collect();
    nodes.extend([
        paragraph(&"x".repeat(10_000)),
        heading(2, "#pagebreak()"),
        node("heading", vec![]),
        node("table", vec![]),
        node("table", vec![node("table_row", vec![cell("table_cell", u32::MAX, u32::MAX, "bred")]), node("table_row", vec![])]),
        node("table", vec![node("table_row", (0..60).map(|n| cell("table_header", 1, 1, &format!("kolonne{n}"))).collect())]),
        node("bullet_list", vec![]),
        node("ukendt", vec![paragraph("i et ukendt element")]),
    ]);
    let mut content = rich();
    content["sections"]["kerneopgave"] = Value::Array(nodes);
    content["goals"][0]["title"] = json!([]);
    content["goals"][0]["due"] = json!("#datetime.today()");
    content["goals"][1]["indicators"][0]["unit"] = json!("\u{FFFE}*");
    let mut paper = paper(&content, signed());
    paper.unit = Some("#strong[Skolen] 😀 \u{FFFE}".into());
    paper.municipality = "\u{202E}Kommune".into();
    let file = File::of(&print(&paper));
    file.assert_well_made();
    let found = read(&file.text());
    for text in &hostile[..2] {
        assert_in_order(&text.split_whitespace().map(str::to_owned).collect::<Vec<_>>(), &found);
    }
    let flowing = found.join(" ");
    for said in [
        "[U+202E]vendt[U+202C] [U+FFFE][U+FFFF][U+FEFF] [U+0001][U+007F][U+E000] [U+10FFFF]",
        "Mål uden titel",
        "bred",
        "kolonne59",
        "i et ukendt element",
    ] {
        assert!(flowing.contains(said), "the paper does not say {said:?}: {flowing}");
    }
    let xs: usize = found.iter().filter(|word| word.bytes().all(|byte| byte == b'x')).map(String::len).sum();
    assert_eq!(xs, 10_000, "a word without end is broken, not cut");
    assert!(file.ask("qpdf", &["--show-attachment=indhold.json"], &[]) == paper.content);
}

#[test]
fn deep_and_endless_structures_are_set_with_every_word() {
    let mut lists = paragraph("inderst");
    for _ in 0..30 {
        lists = node("bullet_list", vec![node("list_item", vec![paragraph("punkt"), lists])]);
    }
    let mut tables = paragraph("kerne");
    for _ in 0..20 {
        let cell = json!({ "type": "table_cell", "attrs": { "colspan": 1, "rowspan": 1 }, "content": [tables] });
        tables = node("table", vec![node("table_row", vec![cell])]);
    }
    let mut content = rich();
    content["sections"]["kerneopgave"] = json!([lists, tables]);
    let file = File::of(&print(&paper(&content, draft())));
    file.assert_well_made();
    let text = file.text();
    assert_eq!((text.matches("punkt").count(), text.contains("inderst"), text.contains("kerne")), (30, true, true), "{text}");
}

/// As large as a live document may grow before people are warned.
#[test]
fn a_document_of_two_megabytes_is_set_whole() {
    let sentence = "Vi følger op hvert kvartal, og det, der ikke virker, holder vi op med. ";
    let mut content = rich();
    let nodes = (0..2_200).map(|n| paragraph(&format!("afsnit{n} {}", sentence.repeat(12))));
    content["sections"]["kerneopgave"] = nodes.collect();
    let paper = paper(&content, draft());
    assert!(paper.content.len() > 2 << 20, "{}", paper.content.len());
    let file = File::of(&print(&paper));
    let found = read(&file.text());
    assert_in_order(&(0..2_200).map(|n| format!("afsnit{n}")).collect::<Vec<_>>(), &found);
    assert_eq!(found.iter().filter(|word| *word == "kvartal,").count(), 2_200 * 12);
}
