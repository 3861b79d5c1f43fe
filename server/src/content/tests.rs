use proptest::{collection::vec, option, prelude::*};
use serde_json::json;
use yrs::{Any, GetString, Map, ReadTxn, StateVector, Text, WriteTxn, Xml, XmlElementPrelim, XmlFragment, XmlOut, XmlTextPrelim};

use super::*;

fn text(words: &str) -> Node {
    Node::Text(words.to_owned(), Marks::default())
}

fn strong(words: &str) -> Node {
    Node::Text(words.to_owned(), Marks { strong: true, ..Marks::default() })
}

fn one_section(nodes: Vec<Node>) -> Content {
    Content { schema: SCHEMA, template: "t".into(), sections: [("rammer".to_owned(), nodes)].into(), goals: Vec::new() }
}

fn goal(id: &str, rank: &str) -> Goal {
    Goal {
        id: id.into(),
        title: paragraph("Flere dage i skole"),
        body: paragraph(""),
        success: bullets(&[]),
        responsible: paragraph(""),
        origin: "political".into(),
        rank: rank.into(),
        ..Goal::default()
    }
}

fn rendered(update: &[u8]) -> String {
    String::from_utf8(render(&replay([update]).unwrap())).unwrap()
}

#[test]
fn the_canonical_bytes_of_schema_1_never_change() {
    let mut content = one_section(blocks("Rammen er **41,2 mio. kr.** 🌊\n\n- én\n- to"));
    let mut goal = goal("b", "a0");
    goal.due = "2027-02-01".into();
    goal.actions.push(Action {
        id: "c".into(),
        text: paragraph("Ring hjem"),
        responsible: paragraph("Lærerne"),
        due: String::new(),
        rank: "a0".into(),
    });
    goal.links.push(Link { id: "d".into(), target: "s3".into(), relation: "contributes_to".into(), reason: paragraph("") });
    content.goals.push(goal);
    insta::assert_snapshot!(rendered(&build(&content, 7)), @r#"{"goals":[{"actions":[{"due":"","id":"c","rank":"a0","responsible":[{"attrs":{},"content":[{"marks":[],"text":"Lærerne","type":"text"}],"type":"paragraph"}],"text":[{"attrs":{},"content":[{"marks":[],"text":"Ring hjem","type":"text"}],"type":"paragraph"}]}],"body":[{"attrs":{},"content":[],"type":"paragraph"}],"due":"2027-02-01","id":"b","indicators":[],"links":[{"id":"d","reason":[{"attrs":{},"content":[],"type":"paragraph"}],"relation":"contributes_to","target":"s3"}],"origin":"political","rank":"a0","responsible":[{"attrs":{},"content":[],"type":"paragraph"}],"success":[{"attrs":{},"content":[{"attrs":{},"content":[{"attrs":{},"content":[],"type":"paragraph"}],"type":"list_item"}],"type":"bullet_list"}],"title":[{"attrs":{},"content":[{"marks":[],"text":"Flere dage i skole","type":"text"}],"type":"paragraph"}]}],"schema":1,"sections":{"rammer":[{"attrs":{},"content":[{"marks":[],"text":"Rammen er ","type":"text"},{"marks":[{"attrs":{},"type":"strong"}],"text":"41,2 mio. kr.","type":"text"},{"marks":[],"text":" 🌊","type":"text"}],"type":"paragraph"},{"attrs":{},"content":[{"attrs":{},"content":[{"attrs":{},"content":[{"marks":[],"text":"én","type":"text"}],"type":"paragraph"}],"type":"list_item"},{"attrs":{},"content":[{"attrs":{},"content":[{"marks":[],"text":"to","type":"text"}],"type":"paragraph"}],"type":"list_item"}],"type":"bullet_list"}]},"template":"t"}"#);
}

#[test]
fn sections_nobody_touched_leave_no_trace() {
    let update = build(&one_section(blocks("Hej")), 7);
    let doc = replay([&update[..]]).unwrap();
    let before = render(&doc);
    let _ = doc.get_or_insert_xml_fragment("section:vaerdier");
    let _ = doc.get_or_insert_xml_fragment("section:rammer");
    assert_eq!(before, render(&doc));
}

/// Typed by three people in pieces, with a bold that was undone and a paragraph that was removed: other bytes in the log, one content.
#[test]
fn equal_content_in_another_encoding_has_equal_bytes() {
    let wanted = one_section(vec![Node::Element(Element::Paragraph, vec![text("æøå "), strong("🌊"), text(" slut")])]);
    let straight = build(&wanted, 7);

    let doc = replay([&build(&one_section(blocks("")), 8)[..]]).unwrap();
    for client in [20, 21, 22] {
        let peer = empty_doc(client);
        {
            let mut transaction = peer.transact_mut();
            let state = doc.transact().encode_state_as_update_v1(&StateVector::default());
            transaction.apply_update(yrs::updates::decoder::Decode::decode_v1(&state).unwrap()).unwrap();
            let section = transaction.get_or_insert_xml_fragment("section:rammer");
            let Some(XmlOut::Element(first)) = section.get(&transaction, 0) else { panic!("a paragraph is there") };
            match client {
                20 => {
                    let run = first.push_back(&mut transaction, XmlTextPrelim::new("æø"));
                    run.insert(&mut transaction, 2, " xx");
                    run.format(&mut transaction, 0, 2, [("strong".into(), Any::from(true))].into());
                    section.push_back(&mut transaction, XmlElementPrelim::empty("paragraph"));
                }
                21 => {
                    let Some(XmlOut::Text(run)) = first.get(&transaction, 0) else { panic!("a text is there") };
                    run.insert(&mut transaction, 2, "å");
                    run.remove_range(&mut transaction, 4, 2);
                    run.format(&mut transaction, 0, 4, [("strong".into(), Any::Null)].into());
                    section.remove_range(&mut transaction, 1, 1);
                }
                _ => {
                    let run = first.push_back(&mut transaction, XmlTextPrelim::new(""));
                    run.insert_with_attributes(&mut transaction, 0, "🌊", [("strong".into(), Any::from(true))].into());
                    first.push_back(&mut transaction, XmlTextPrelim::new(" slut"));
                    // Nodes and attributes the schema does not know are not content.
                    first.insert_attribute(&mut transaction, "style", "color: red");
                    section.push_back(&mut transaction, XmlElementPrelim::empty("script"));
                }
            }
        }
        let update = peer.transact().encode_state_as_update_v1(&StateVector::default());
        doc.transact_mut().apply_update(yrs::updates::decoder::Decode::decode_v1(&update).unwrap()).unwrap();
    }
    assert_eq!(rendered(&straight), String::from_utf8(render(&doc)).unwrap());
    assert_ne!(straight, doc.transact().encode_state_as_update_v1(&StateVector::default()));
}

#[test]
fn goals_stand_by_rank_then_id_and_half_made_ones_are_not_there() {
    let content = Content { goals: vec![goal("b", "a1"), goal("a", "a1"), goal("z", "Zz")], ..one_section(blocks("")) };
    let doc = replay([&build(&content, 7)[..]]).unwrap();
    {
        let mut transaction = doc.transact_mut();
        let goals = transaction.get_or_insert_map("goals");
        let half = goals.insert(&mut transaction, "half", yrs::MapPrelim::default());
        half.insert(&mut transaction, "origin", "local");
        goals.insert(&mut transaction, "nonsense", 7);
    }
    let ids: Vec<String> = read(&doc).goals.into_iter().map(|goal| goal.id).collect();
    assert_eq!(ids, ["z", "a", "b"]);
}

#[test]
fn an_empty_paragraph_has_no_children_and_text_is_one_run() {
    let update = build(
        &one_section(vec![Node::Element(Element::Paragraph, vec![]), Node::Element(Element::Paragraph, vec![text("a"), strong("b")])]),
        7,
    );
    let doc = replay([&update[..]]).unwrap();
    let section = doc.get_or_insert_xml_fragment("section:rammer");
    assert_eq!(section.get_string(&doc.transact()), "<paragraph></paragraph><paragraph>a<strong>b</strong></paragraph>");
    let Some(XmlOut::Element(second)) = section.get(&doc.transact(), 1) else { panic!("two paragraphs") };
    assert_eq!(second.len(&doc.transact()), 1);
}

#[test]
fn markdown_becomes_blocks() {
    let em = |words: &str| Node::Text(words.to_owned(), Marks { em: true, ..Marks::default() });
    let p = |content: Vec<Node>| Node::Element(Element::Paragraph, content);
    let item = |content: Vec<Node>| Node::Element(Element::ListItem, vec![p(content)]);
    assert_eq!(blocks(""), vec![p(vec![])]);
    assert_eq!(
        blocks("To linjer\ni ét afsnit.\n\n- *Politik* og\n- **Udsyn**: 2 * 3\n"),
        vec![
            p(vec![text("To linjer i ét afsnit.")]),
            Node::Element(Element::BulletList, vec![item(vec![em("Politik"), text(" og")]), item(vec![strong("Udsyn"), text(": 2 * 3")])]),
        ]
    );
}

#[test]
fn the_projection_merges_links_and_reads_days() {
    let id = |number: u128| uuid::Uuid::from_u128(number).to_string();
    let link = |number, relation: &str, reason: &str| Link {
        id: id(number),
        target: id(99),
        relation: relation.into(),
        reason: paragraph(reason),
    };
    let mut one = goal(&id(1), "a0");
    one.due = "2027-02-30".into();
    one.success = bullets(&["Højst 5,8 procent".into(), String::new()]);
    one.links = vec![link(3, "implements", "først"), link(4, "contributes_to", ""), link(5, "implements", "siden")];
    let mut foreign = goal("not-a-uuid", "a1");
    foreign.due = "2027-02-01".into();
    let content = Content { goals: vec![one, foreign], ..one_section(blocks("Fem ord om én ting")) };
    let projection = project(&replay([&build(&content, 7)[..]]).unwrap());

    assert_eq!(projection.goals.len(), 1);
    let found = &projection.goals[0];
    assert_eq!((found.number, found.due, &found.success[..]), (1, None, &["Højst 5,8 procent".to_owned()][..]));
    assert_eq!(
        found.links.iter().map(|link| (link.relation.as_str(), link.reasons.join("/"))).collect::<Vec<_>>(),
        [("implements", "først/siden".to_owned()), ("contributes_to", String::new())]
    );
    assert_eq!(projection.section("rammer").unwrap().blocks, ["Fem ord om én ting"]);
    assert_eq!(projection.words(), 5 + 4 + 3);
}

fn words() -> impl Strategy<Value = String> {
    "[a-zæøåÆØÅ 🌊👩‍🏫\"\\\\\n]{1,12}"
}

fn marks() -> impl Strategy<Value = Marks> {
    (any::<bool>(), any::<bool>(), option::of("https://[a-z]{1,5}\\.dk")).prop_map(|(strong, em, link)| Marks { strong, em, link })
}

/// A line in normal form: no empty runs, no equal marks side by side.
fn inline() -> impl Strategy<Value = Vec<Node>> {
    vec(prop_oneof![4 => (words(), marks()).prop_map(|(words, marks)| Node::Text(words, marks)), 1 => Just(Node::Element(Element::HardBreak, vec![]))], 0..5)
        .prop_map(|mut nodes| {
            nodes.dedup_by(|after, before| matches!((after, before), (Node::Text(_, one), Node::Text(_, other)) if one == other));
            nodes
        })
}

fn block() -> impl Strategy<Value = Node> {
    let line = prop_oneof![Just(Element::Paragraph), (2..=4_u32).prop_map(Element::Heading)];
    let leaf = (line, inline()).prop_map(|(element, nodes)| Node::Element(element, nodes));
    leaf.prop_recursive(3, 12, 3, |inner| {
        let span = (1..4_u32, 1..4_u32).prop_map(|(columns, rows)| Span { columns, rows });
        let kind = prop_oneof![
            Just(Element::BulletList),
            Just(Element::OrderedList),
            Just(Element::ListItem),
            Just(Element::Table),
            Just(Element::TableRow),
            span.clone().prop_map(Element::TableCell),
            span.prop_map(Element::TableHeader)
        ];
        (kind, vec(inner, 1..3)).prop_map(|(kind, content)| Node::Element(kind, content))
    })
}

fn any_goal() -> impl Strategy<Value = Goal> {
    (("[a-f0-9]{8}", "[a-z][0-9A-Za-z]", "[0-9-]{0,10}"), (inline(), vec(block(), 1..3)), ("[a-f0-9]{8}", inline())).prop_map(
        |((id, rank, due), (title, body), (inner, words))| Goal {
            title: vec![Node::Element(Element::Paragraph, title)],
            body,
            due: due.clone(),
            actions: vec![Action {
                id: inner.clone(),
                text: vec![Node::Element(Element::Paragraph, words.clone())],
                responsible: paragraph("x"),
                due,
                rank: rank.clone(),
            }],
            indicators: vec![Indicator {
                id: inner.clone(),
                name: paragraph("n"),
                source: paragraph(""),
                baseline: "6.9".into(),
                ..Indicator::default()
            }],
            links: vec![Link {
                id: inner,
                target: "t".into(),
                relation: "implements".into(),
                reason: vec![Node::Element(Element::Paragraph, words)],
            }],
            ..goal(&id, &rank)
        },
    )
}

proptest! {
    /// What is built is what is read, through the encoding, under any client id.
    #[test]
    fn build_then_read_is_the_same(section in vec(block(), 1..5), mut goals in vec(any_goal(), 0..3), client in 1..u32::MAX) {
        goals.sort_by(|one, other| (&one.rank, &one.id).cmp(&(&other.rank, &other.id)));
        goals.dedup_by(|one, other| one.id == other.id);
        let content = Content { goals, ..one_section(section) };
        let first = replay([&build(&content, client)[..]]).unwrap();
        prop_assert_eq!(&read(&first), &content);
        // And once more through a snapshot, under another id.
        let snapshot = first.transact().encode_state_as_update_v1(&StateVector::default());
        prop_assert_eq!(render(&replay([&snapshot[..]]).unwrap()), render_content(&content));
        prop_assert_eq!(render(&replay([&build(&content, client + 1)[..]]).unwrap()), render_content(&content));
    }
}

#[test]
fn the_json_of_a_table_says_every_attribute() {
    let cell = Node::Element(Element::TableHeader(Span { columns: 2, rows: 1 }), paragraph("a"));
    let content = one_section(vec![Node::Element(Element::Table, vec![Node::Element(Element::TableRow, vec![cell])])]);
    let value: serde_json::Value = serde_json::from_str(&rendered(&build(&content, 7))).unwrap();
    assert_eq!(value["sections"]["rammer"][0]["content"][0]["content"][0]["attrs"], json!({"colspan": 2, "rowspan": 1}));
}

/// A document and the canonical JSON of its content.
#[derive(serde::Deserialize, serde::Serialize)]
struct Vector {
    name: String,
    update_hex: String,
    content: String,
}

#[derive(serde::Deserialize, serde::Serialize)]
struct Vectors {
    made_by: String,
    cases: Vec<Vector>,
}

fn vectors(file: &str) -> Vectors {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../client-protocol/vectors").join(file);
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

/// Documents that an editor wrote, by the other implementation of the CRDT and another of the rendering (web/scripts).
#[test]
fn what_editors_write_is_rendered_as_the_other_implementation_renders_it() {
    let vectors = vectors("content-yjs.json");
    assert_eq!(vectors.cases.len(), 3);
    for case in vectors.cases {
        assert_eq!(rendered(&hex::decode(&case.update_hex).unwrap()), case.content, "{}", case.name);
    }
}

/// The same the other way round: what is built here, for the web's tests to read. Written anew with `UPDATE_VECTORS=1`.
#[test]
fn what_is_built_here_is_the_golden_content_that_the_web_reads() {
    let mut full = one_section(blocks("Rammen er **41,2 mio. kr.** 🌊 og *mere*\n\n- én\n- to\n\næøå"));
    full.sections.insert("tom".into(), paragraph(""));
    let mut goal = goal("00000000-0000-4000-8000-00000000000a", "a0");
    goal.success = bullets(&["Højst 5,8 procent".into(), "Ingen uden plan".into()]);
    goal.due = "2027-02-01".into();
    let id = "00000000-0000-4000-8000-00000000000b".to_owned();
    goal.actions.push(Action {
        id: id.clone(),
        text: paragraph("Ring hjem"),
        responsible: paragraph(""),
        due: String::new(),
        rank: "a0".into(),
    });
    let indicator =
        Indicator { id: id.clone(), name: paragraph("Fravær"), source: paragraph(""), baseline: "6.9".into(), ..Indicator::default() };
    goal.indicators.push(indicator);
    goal.links.push(Link { id: id.clone(), target: id, relation: "implements".into(), reason: paragraph("") });
    full.goals.push(goal);
    let cases = [("full", full), ("one empty section", one_section(blocks("")))];
    if std::env::var_os("UPDATE_VECTORS").is_some() {
        let made = cases.iter().map(|(name, content)| Vector {
            name: (*name).to_owned(),
            update_hex: hex::encode(build(content, 7)),
            content: String::from_utf8(render_content(content)).unwrap(),
        });
        let vectors = Vectors { made_by: "server/src/content/tests.rs".into(), cases: made.collect() };
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../client-protocol/vectors/content-samspil.json");
        std::fs::write(path, serde_json::to_string_pretty(&vectors).unwrap() + "\n").unwrap();
    }
    let golden = vectors("content-samspil.json");
    assert_eq!(golden.cases.len(), cases.len());
    for (case, (name, content)) in golden.cases.iter().zip(&cases) {
        assert_eq!(case.name, *name);
        assert_eq!(rendered(&hex::decode(&case.update_hex).unwrap()), case.content);
        assert_eq!(rendered(&build(content, 7)), case.content);
    }
}
