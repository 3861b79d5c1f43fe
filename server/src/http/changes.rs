//! `/api/documents/{id}/changes`: what a version of an agreement says otherwise than an earlier one, word by word.

use std::{collections::HashMap, time::Duration};

use axum::{Json, extract::State};
use samspil_client_protocol::api::{Piece, PieceKind, PlaceChange, Problem as ProblemBody, VersionChanges};
use samspil_paper::danish;
use serde::Deserialize;
use similar::{Algorithm, DiffOp, capture_diff_slices_deadline};
use utoipa::IntoParams;
use uuid::Uuid;

use super::{
    documents::readable,
    problem::{Path, Problem, Query},
};
use crate::{
    auth::SignedIn,
    content::{Content, Goal, Indicator, Link, Marks, Node, plain_blocks},
    domain::ids::DocumentId,
    rooms::Rooms,
    store::{Store, agreements::SectionRow},
};

/// Texts that have nothing in common are compared more coarsely after so long.
const PATIENCE: Duration = Duration::from_millis(300);

/// Since which version.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct SinceQuery {
    /// From 1; absent: the one before.
    since: Option<u32>,
}

/// What changed since an earlier version of the agreement, for those who may read both.
#[utoipa::path(get, operation_id = "document_changes", path = "/api/documents/{id}/changes", params(("id" = Uuid, Path), SinceQuery), responses(
    (status = OK, body = VersionChanges), (status = UNAUTHORIZED, body = ProblemBody), (status = NOT_FOUND, body = ProblemBody)))]
pub(super) async fn changes(
    signed_in: SignedIn,
    State(store): State<Store>,
    State(rooms): State<Rooms>,
    Path(id): Path<Uuid>,
    Query(query): Query<SinceQuery>,
) -> Result<Json<VersionChanges>, Problem> {
    let (document, _) = readable(&store, id, &signed_in).await?;
    let agreement = document.agreement_id.ok_or_else(Problem::not_found)?;
    let since = query.since.unwrap_or(document.version.saturating_sub(1).max(1));
    let versions = store.agreement_versions(agreement).await?;
    let earlier = versions.iter().find(|row| row.version == since).ok_or_else(Problem::not_found)?.document;
    readable(&store, earlier.0, &signed_in).await?;
    let sections = store.document_sections(&[document.access.document]).await?.remove(&document.access.document).unwrap_or_default();
    let old = says(&rooms, earlier).await?;
    let new = says(&rooms, document.access.document).await?;
    let above: Above =
        store.chain_goals().await?.into_iter().map(|goal| (goal.id.to_string(), format!("{} {}", goal.code, goal.title))).collect();
    let places = tokio::task::spawn_blocking(move || changed(&places(&old, &sections, &above), &places(&new, &sections, &above))).await;
    Ok(Json(VersionChanges { since, places: places.map_err(|_| Problem::internal())? }))
}

async fn says(rooms: &Rooms, document: DocumentId) -> Result<Content, Problem> {
    let replayed = rooms.frozen(document).await?.ok_or_else(Problem::not_found)?;
    replayed.map(|frozen| frozen.content).map_err(|error| {
        tracing::error!(document.id = %document, error = &error as &dyn std::error::Error, "the log does not replay");
        Problem::internal()
    })
}

/// A place in a text: its key or id, its title, and its words.
type Place = (String, String, String);

/// Code and title of each goal of the chain, by its id.
type Above = HashMap<String, String>;

/// Sections as the template has them, then goals in their order.
fn places(content: &Content, sections: &[SectionRow], above: &Above) -> Vec<Place> {
    let sections = sections.iter().filter_map(|section| {
        let nodes = content.sections.get(&section.key)?;
        Some((section.key.clone(), section.title.clone(), blocks(nodes).join("\n")))
    });
    let goals = content.goals.iter().map(|goal| (goal.id.clone(), plain_blocks(&goal.title).join(" "), words_of(goal, above)));
    sections.chain(goals).collect()
}

/// All that a goal says, a line for each thing, in the words of the paper.
fn words_of(goal: &Goal, above: &Above) -> String {
    let mut lines = blocks(&goal.title);
    lines.extend(goal.links.iter().map(|link| points_at(link, above)));
    lines.extend(blocks(&goal.body));
    lines.extend(blocks(&goal.success).into_iter().map(|criterion| format!("– {criterion}")));
    let responsible = line(&goal.responsible);
    lines.push(told([if responsible.is_empty() { responsible } else { format!("Ansvarlig: {responsible}") }, by(&goal.due)]));
    lines.extend(goal.actions.iter().map(|action| told([line(&action.text), line(&action.responsible), by(&action.due)])));
    lines.extend(goal.indicators.iter().map(measures));
    lines.retain(|line| !line.trim().is_empty());
    lines.join("\n")
}

fn points_at(link: &Link, above: &Above) -> String {
    let relation = match &link.relation[..] {
        "implements" => "Udmønter",
        "constrained_by" => "Begrænses af",
        _ => "Bidrager til",
    };
    let target = above.get(&link.target).map_or("et mål, der ikke findes mere", String::as_str);
    let reason = line(&link.reason);
    if reason.is_empty() { format!("{relation} {target}") } else { format!("{relation} {target}: {reason}") }
}

fn measures(indicator: &Indicator) -> String {
    let direction = match &indicator.direction[..] {
        "up" => "op er godt",
        "down" => "ned er godt",
        "keep" => "skal holdes",
        other => other,
    };
    let frequency = match &indicator.frequency[..] {
        "monthly" => "hver måned",
        "quarterly" => "hvert kvartal",
        "half_yearly" => "to gange om året",
        "yearly" => "hvert år",
        other => other,
    };
    let figure = |text: &str| if text.is_empty() { "–".to_owned() } else { danish::decimal(text) };
    let figures = match (&indicator.baseline[..], &indicator.target[..]) {
        ("", "") => indicator.unit.clone(),
        (from, to) if indicator.unit.is_empty() => format!("fra {} til {}", figure(from), figure(to)),
        (from, to) => format!("fra {} til {} ({})", figure(from), figure(to), indicator.unit),
    };
    let source = line(&indicator.source);
    let source = if source.is_empty() { source } else { format!("kilde: {source}") };
    told([line(&indicator.name), figures, direction.to_owned(), frequency.to_owned(), source])
}

/// Those that say something, in one line.
fn told<const N: usize>(facts: [String; N]) -> String {
    facts.into_iter().filter(|fact| !fact.trim().is_empty()).collect::<Vec<_>>().join(", ")
}

/// *senest 1. februar 2027*.
fn by(due: &str) -> String {
    if due.is_empty() { String::new() } else { format!("senest {}", danish::picked_day(due)) }
}

fn line(nodes: &[Node]) -> String {
    blocks(nodes).join(" ")
}

/// The filled blocks as plain text, each link followed by its address: one that leads elsewhere says something else.
fn blocks(nodes: &[Node]) -> Vec<String> {
    plain_blocks(&addressed(nodes))
}

fn addressed(nodes: &[Node]) -> Vec<Node> {
    let mut told = Vec::new();
    for (place, node) in nodes.iter().enumerate() {
        match node {
            Node::Element(element, inner) => told.push(Node::Element(*element, addressed(inner))),
            Node::Text(..) => told.push(node.clone()),
        }
        // A link may be several runs under other marks; its address stands after the last.
        if let Some(address) = address(node)
            && nodes.get(place + 1).and_then(self::address) != Some(address)
        {
            told.push(Node::Text(format!(" ({address})"), Marks::default()));
        }
    }
    told
}

fn address(node: &Node) -> Option<&str> {
    match node {
        Node::Text(_, marks) => marks.link.as_deref(),
        Node::Element(..) => None,
    }
}

/// Where old and new differ, in the order of the new; what is gone comes last.
fn changed(old: &[Place], new: &[Place]) -> Vec<PlaceChange> {
    let text_in = |places: &[Place], key: &str| places.iter().find(|(place, ..)| place == key).map(|(.., words)| words.clone());
    let now = new.iter().map(|(place, title, words)| (place, title, text_in(old, place).unwrap_or_default(), words.clone()));
    let gone = old.iter().filter(|(place, ..)| text_in(new, place).is_none());
    let gone = gone.map(|(place, title, words)| (place, title, words.clone(), String::new()));
    let differing = now.chain(gone).filter(|(.., before, after)| before != after);
    differing
        .map(|(place, title, before, after)| PlaceChange { place: place.clone(), title: title.clone(), pieces: pieces(&before, &after) })
        .collect()
}

/// Old and new words in one row.
fn pieces(old: &str, new: &str) -> Vec<Piece> {
    let (old, new) = (tokens(old), tokens(new));
    let deadline = (tokio::time::Instant::now() + PATIENCE).into_std();
    let mut pieces: Vec<Piece> = Vec::new();
    let mut add = |kind, tokens: &[&str]| {
        let text = tokens.concat();
        match pieces.last_mut() {
            Some(last) if last.kind == kind => last.text.push_str(&text),
            _ if text.is_empty() => {}
            _ => pieces.push(Piece { kind, text }),
        }
    };
    for op in capture_diff_slices_deadline(Algorithm::Myers, &old, &new, Some(deadline)) {
        match op {
            DiffOp::Equal { new_index, len, .. } => add(PieceKind::Same, &new[new_index..new_index + len]),
            DiffOp::Delete { old_index, old_len, .. } => add(PieceKind::Deleted, &old[old_index..old_index + old_len]),
            DiffOp::Insert { new_index, new_len, .. } => add(PieceKind::Inserted, &new[new_index..new_index + new_len]),
            DiffOp::Replace { old_index, old_len, new_index, new_len } => {
                add(PieceKind::Deleted, &old[old_index..old_index + old_len]);
                add(PieceKind::Inserted, &new[new_index..new_index + new_len]);
            }
        }
    }
    pieces
}

/// What an address begins with.
const SCHEMES: [&str; 3] = ["https://", "http://", "mailto:"];

/// Words, and what stands between them, so that the same word before another sign is the same word. An address is one word.
fn tokens(text: &str) -> Vec<&str> {
    let mut tokens = Vec::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let end = if SCHEMES.iter().any(|scheme| rest.starts_with(scheme)) {
            rest.find(|letter: char| letter.is_whitespace() || letter == ')')
        } else {
            let word = first.is_alphanumeric();
            rest.find(|letter: char| letter.is_alphanumeric() != word)
        };
        let (token, after) = rest.split_at(end.unwrap_or(rest.len()));
        tokens.push(token);
        rest = after;
    }
    tokens
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::content::{Action, Element};

    fn shown(old: &str, new: &str) -> String {
        let mark = |piece: Piece| match piece.kind {
            PieceKind::Same => piece.text,
            PieceKind::Inserted => format!("[+{}]", piece.text),
            PieceKind::Deleted => format!("[-{}]", piece.text),
        };
        pieces(old, new).into_iter().map(mark).collect()
    }

    #[test]
    fn words_are_compared_as_words() {
        for (old, new, expected) in [
            ("To biler.", "To biler.", "To biler."),
            ("To biler.", "Tre biler.", "[-To][+Tre] biler."),
            ("To biler", "To biler og en cykel", "To biler[+ og en cykel]"),
            ("Vi samler spor på 4. årgang.", "Vi samler på 4. årgang!", "Vi samler [-spor ]på 4. årgang[-.][+!]"),
            ("", "Nyt afsnit", "[+Nyt afsnit]"),
            ("Gammelt afsnit", "", "[-Gammelt afsnit]"),
            ("æblegrød", "Æblegrød", "[-æblegrød][+Æblegrød]"),
            ("planen (https://a.dk/x)", "planen (https://a.dk/y)", "planen ([-https://a.dk/x][+https://a.dk/y])"),
        ] {
            assert_eq!(shown(old, new), expected);
        }
    }

    #[test]
    fn a_link_that_leads_elsewhere_is_a_change() {
        let linked = |href: &str| {
            let under = |strong| Marks { strong, em: false, link: Some(href.to_owned()) };
            vec![Node::Element(
                Element::Paragraph,
                vec![
                    Node::Text("Se ".into(), Marks::default()),
                    Node::Text("hele ".into(), under(true)),
                    Node::Text("planen".into(), under(false)),
                    Node::Text(" her.".into(), Marks::default()),
                ],
            )]
        };
        let (old, new) = (blocks(&linked("https://a.dk/2026")).join("\n"), blocks(&linked("https://a.dk/2027")).join("\n"));
        assert_eq!(shown(&old, &new), "Se hele planen ([-https://a.dk/2026][+https://a.dk/2027]) her.");
    }

    #[test]
    fn a_goal_that_points_elsewhere_or_is_measured_otherwise_is_a_change() {
        let above = HashMap::from([("s1".to_owned(), "S1 Læselyst".to_owned()), ("b2".to_owned(), "B2 Faste team".to_owned())]);
        let goal = |target: &str, relation: &str, frequency: &str| Goal {
            links: vec![Link { target: target.into(), relation: relation.into(), ..Link::default() }],
            indicators: vec![Indicator {
                name: vec![Node::Text("Fravær".into(), Marks::default())],
                unit: "procent".into(),
                baseline: "6.9".into(),
                target: "5.8".into(),
                direction: "down".into(),
                frequency: frequency.into(),
                ..Indicator::default()
            }],
            ..Goal::default()
        };
        let old = words_of(&goal("s1", "contributes_to", "monthly"), &above);
        let new = words_of(&goal("b2", "implements", "yearly"), &above);
        assert_eq!(old, "Bidrager til S1 Læselyst\nFravær, fra 6,9 til 5,8 (procent), ned er godt, hver måned");
        assert_eq!(new, "Udmønter B2 Faste team\nFravær, fra 6,9 til 5,8 (procent), ned er godt, hvert år");
    }

    #[test]
    fn days_and_figures_are_worded_as_on_the_paper() {
        let words = |text: &str| vec![Node::Text(text.into(), Marks::default())];
        let goal = Goal {
            responsible: words("Skolelederen"),
            due: "2027-02-01".into(),
            actions: vec![
                Action { text: words("Ring hjem"), responsible: words("Lærerne"), due: "2027-06-30".into(), ..Action::default() },
                Action { text: words("Saml spor"), due: "når vi når det".into(), ..Action::default() },
            ],
            indicators: vec![Indicator {
                name: words("Besøg"),
                source: words("Optælling"),
                unit: "antal".into(),
                target: "8".into(),
                direction: "up".into(),
                ..Indicator::default()
            }],
            ..Goal::default()
        };
        assert_eq!(
            words_of(&goal, &HashMap::new()),
            "Ansvarlig: Skolelederen, senest 1. februar 2027\nRing hjem, Lærerne, senest 30. juni 2027\nSaml spor, senest når vi når det\n\
             Besøg, fra – til 8 (antal), op er godt, kilde: Optælling"
        );
    }

    #[test]
    fn what_is_new_or_gone_is_a_place_of_its_own() {
        let place = |key: &str, words: &str| (key.to_owned(), key.to_uppercase(), words.to_owned());
        let changes = changed(
            &[place("a", "ens"), place("b", "før"), place("c", "væk")],
            &[place("a", "ens"), place("b", "efter"), place("d", "nyt")],
        );
        assert_eq!(changes.iter().map(|change| &change.place[..]).collect::<Vec<_>>(), ["b", "d", "c"]);
        assert_eq!(changes[2].pieces, [Piece { kind: PieceKind::Deleted, text: "væk".into() }]);
    }
}
