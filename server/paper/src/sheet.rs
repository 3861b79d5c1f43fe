//! What the template is given: every word of the paper, in order, with nothing left to decide but how it looks.

use serde_json::{Map, Value, json};

use crate::{
    Approval, Held, Meeting, NotPrinted, Paper, Previous, Proof, Section, SectionKind, Signatory, Standing,
    chain::threads,
    danish,
    glyphs::Glyphs,
    grouped,
    prose::{Prose, says_something},
};

/// Level of a section's heading, and of a goal's.
const SECTION: u64 = 1;
const GOAL: u64 = 2;

/// The paper as the template reads it.
pub(crate) fn sheet(paper: &Paper, hash: &[u8; 32], glyphs: &Glyphs<'_>) -> Result<Value, NotPrinted> {
    let content = read(&paper.content).map_err(NotPrinted::Content)?;
    let sheet = Sheet { paper, glyphs, content: &content, numbers: numbers(paper, &content) };
    let full = hex::encode(hash);
    Ok(json!({
        "name": sheet.name(),
        "title": sheet.say(&paper.title),
        "unit": paper.unit.as_deref().map(|unit| sheet.say(unit)),
        "municipality": sheet.say(&paper.municipality),
        "version": paper.version,
        "standing": sheet.standing(),
        "parties": paper.parties.iter().map(|party| sheet.signatory(party)).collect::<Vec<_>>(),
        "valid": paper.period.map(|(from, to)| danish::span(from, to)),
        "budget": paper.budget_frame_dkk.map(danish::kroner),
        "sections": sheet.sections(),
        "demonstration": paper.demonstration,
        "fingerprint": { "short": grouped(&full[..16]), "full": grouped(&full) },
        "attachments": paper.attachments.iter().map(|file| json!({
            "name": file.name, "media_type": file.media_type, "description": file.description,
        })).collect::<Vec<_>>(),
    }))
}

/// Canonical content is no deeper than what a live document may hold, so its depth needs no limit here.
fn read(bytes: &[u8]) -> serde_json::Result<Value> {
    let mut reader = serde_json::Deserializer::from_slice(bytes);
    reader.disable_recursion_limit();
    let value = serde::Deserialize::deserialize(&mut reader)?;
    reader.end()?;
    Ok(value)
}

struct Sheet<'p> {
    paper: &'p Paper,
    glyphs: &'p Glyphs<'p>,
    content: &'p Value,
    /// By a goal's place in the content.
    numbers: Vec<usize>,
}

/// Goals are numbered as they are read: section by section, and those that no section shows at the end.
fn numbers(paper: &Paper, content: &Value) -> Vec<usize> {
    let goals = content["goals"].as_array().map(Vec::as_slice).unwrap_or_default();
    let section = |goal| paper.sections.iter().position(|section| shows(&section.kind, text(goal, "origin"))).unwrap_or(usize::MAX);
    let mut read: Vec<usize> = (0..goals.len()).collect();
    read.sort_by_key(|place| section(&goals[*place]));
    let mut numbers = vec![0; goals.len()];
    for (number, place) in (1..).zip(read) {
        numbers[place] = number;
    }
    numbers
}

impl Sheet<'_> {
    fn say(&self, text: &str) -> String {
        self.glyphs.shown(&text.replace('\n', " "))
    }

    fn name(&self) -> String {
        let title = self.say(&self.paper.title);
        self.paper.unit.as_deref().map_or(title.clone(), |unit| format!("{title} \u{b7} {}", self.say(unit)))
    }

    fn signatory(&self, somebody: &Signatory) -> Value {
        let title = self.say(&somebody.title);
        json!({ "name": self.say(&somebody.name), "title_within": danish::within(&title), "title": title })
    }

    fn standing(&self) -> Value {
        match &self.paper.standing {
            Standing::Draft { at } => json!({ "kind": "draft", "at": danish::moment(*at) }),
            Standing::Frozen { revision, at, approvals } => {
                let kind = match approvals.iter().flatten().count() {
                    0 => "ready",
                    given if given == approvals.len() => "signed",
                    _ => "partly",
                };
                let proofs = approvals.iter().flatten().map(|approval| proof(approval.proof));
                json!({
                    "kind": kind, "revision": revision, "at": at.map(danish::moment), "proofs": proofs.collect::<Vec<_>>(),
                    "approvals": approvals.iter().map(|one| one.as_ref().map(|approval| self.approval(approval))).collect::<Vec<_>>(),
                })
            }
            Standing::Adopted { by, on } => {
                json!({ "kind": "adopted", "by": by.as_deref().map(|by| self.say(by)), "on": on.map(danish::day) })
            }
        }
    }

    fn approval(&self, approval: &Approval) -> Value {
        json!({
            "by": self.signatory(&approval.by),
            "on_behalf_of": approval.on_behalf_of.as_ref().map(|party| self.signatory(party)),
            "at": danish::moment(approval.at),
            "level": approval.level.as_deref().map(|level| self.say(&danish::login_level(level))),
            "proof": proof(approval.proof),
        })
    }

    /// The template's sections, and after them whatever the content has that no section shows.
    fn sections(&self) -> Vec<Value> {
        let mut sections: Vec<Value> = self.paper.sections.iter().map(|section| self.section(section)).collect();
        let written = |key: &str| self.paper.sections.iter().any(|section| section.key == key && is_text(&section.kind));
        for (key, nodes) in self.content["sections"].as_object().unwrap_or(&Map::new()) {
            if !written(key) && says_something(nodes) {
                sections.push(json!({ "kind": "text", "title": self.say(key), "blocks": self.blocks(nodes, SECTION) }));
            }
        }
        let stray = self.goals(|origin| !self.paper.sections.iter().any(|section| shows(&section.kind, origin)));
        if !stray.is_empty() {
            sections.push(json!({ "kind": "goals", "title": "Øvrige mål", "goals": stray }));
        }
        // The signatures are the last thing, on a page of their own.
        let (signatures, mut sections): (Vec<Value>, Vec<Value>) = sections.into_iter().partition(|one| one["kind"] == "signatures");
        sections.extend(signatures);
        sections
    }

    fn section(&self, section: &Section) -> Value {
        let title = self.say(&section.title);
        let text = || self.blocks(&self.content["sections"][&section.key], SECTION);
        match &section.kind {
            SectionKind::Parties => json!({ "kind": "parties" }),
            SectionKind::Text => json!({ "kind": "text", "title": title, "blocks": text() }),
            SectionKind::TextWithPrevious => json!({
                "kind": "text", "title": title, "blocks": text(),
                "previous": self.paper.previous.as_ref().map(|previous| self.previous(previous)),
            }),
            SectionKind::Dialogue => json!({
                "kind": "dialogue", "title": title,
                "meetings": self.paper.meetings.iter().map(|meeting| self.meeting(meeting)).collect::<Vec<_>>(),
            }),
            SectionKind::Goals(_) => {
                json!({ "kind": "goals", "title": title, "goals": self.goals(|origin| shows(&section.kind, origin)) })
            }
            SectionKind::Signatures => json!({ "kind": "signatures", "title": title }),
        }
    }

    fn blocks(&self, nodes: &Value, level: u64) -> Value {
        if says_something(nodes) { Prose::under(self.glyphs, level).blocks(nodes) } else { json!([]) }
    }

    fn line(&self, nodes: &Value) -> Value {
        Prose::under(self.glyphs, GOAL).line(nodes)
    }

    /// The goals of some origins, each with its number.
    fn goals(&self, wanted: impl Fn(&str) -> bool) -> Vec<Value> {
        let goals = self.content["goals"].as_array().into_iter().flatten().enumerate();
        goals.filter(|(_, goal)| wanted(text(goal, "origin"))).map(|(place, goal)| self.goal(self.numbers[place], goal)).collect()
    }

    fn goal(&self, number: usize, goal: &Value) -> Value {
        json!({
            "number": number,
            "title": self.line(&goal["title"]),
            "threads": self.threads(&goal["links"]),
            "body": self.blocks(&goal["body"], GOAL),
            "success": self.blocks(&goal["success"], GOAL),
            "responsible": self.line(&goal["responsible"]),
            "due": danish::picked_day(&self.say(text(goal, "due"))),
            "actions": goal["actions"].as_array().into_iter().flatten().map(|action| json!({
                "text": self.line(&action["text"]),
                "responsible": self.line(&action["responsible"]),
                "due": danish::picked_day(&self.say(text(action, "due"))),
            })).collect::<Vec<_>>(),
            "indicators": goal["indicators"].as_array().into_iter().flatten().map(|one| self.indicator(one)).collect::<Vec<_>>(),
        })
    }

    fn indicator(&self, indicator: &Value) -> Value {
        let plain = |key| self.say(text(indicator, key));
        json!({
            "name": self.line(&indicator["name"]),
            "source": self.line(&indicator["source"]),
            "unit": plain("unit"),
            "baseline": danish::decimal(&plain("baseline")),
            "target": danish::decimal(&plain("target")),
            "direction": match text(indicator, "direction") {
                "up" => "Op er godt".to_owned(),
                "down" => "Ned er godt".to_owned(),
                "keep" => "Skal holdes".to_owned(),
                _ => plain("direction"),
            },
            "frequency": match text(indicator, "frequency") {
                "monthly" => "Hver måned".to_owned(),
                "quarterly" => "Hvert kvartal".to_owned(),
                "half_yearly" => "To gange om året".to_owned(),
                "yearly" => "Hvert år".to_owned(),
                _ => plain("frequency"),
            },
        })
    }

    fn threads(&self, links: &Value) -> Value {
        let links: Vec<&Value> = links.as_array().into_iter().flatten().collect();
        let targets: Vec<&str> = links.iter().map(|link| text(link, "target")).collect();
        let (threads, unknown) = threads(&targets, &self.paper.chain);
        let told = |places: &[usize]| -> Vec<Value> {
            let told =
                places.iter().map(|place| json!({ "relation": relation(links[*place]), "reason": self.line(&links[*place]["reason"]) }));
            told.collect()
        };
        let mut shown: Vec<Value> = threads
            .into_iter()
            .map(|thread| {
                let knots = thread.into_iter().map(|knot| {
                    json!({
                        "code": self.say(&knot.goal.code), "title": self.say(&knot.goal.title),
                        "document": self.say(knot.goal.document.split(": ").next().unwrap_or_default()),
                        "adopted": knot.goal.adopted, "links": told(&knot.links),
                    })
                });
                knots.collect()
            })
            .collect();
        shown.extend(unknown.iter().map(|place| json!([{ "code": null, "links": told(&[*place]) }])));
        Value::Array(shown)
    }

    fn previous(&self, previous: &Previous) -> Value {
        json!({
            "title": self.say(&previous.title),
            "goals": previous.goals.iter().map(|goal| json!({
                "code": self.say(&goal.code),
                "title": self.say(&goal.title),
                "status": goal.status.as_deref().map(|status| self.say(status)),
                "notes": goal.notes.iter().map(|(kind, on, note)| format!("{kind}, {}: {}", danish::day(*on), self.say(note))).collect::<Vec<_>>(),
            })).collect::<Vec<_>>(),
        })
    }

    fn meeting(&self, meeting: &Meeting) -> Value {
        let covered = match (meeting.political, meeting.executive) {
            (true, true) => Some("De politiske mål og direktionens mål"),
            (true, false) => Some("De politiske mål"),
            (false, true) => Some("Direktionens mål"),
            (false, false) => None,
        };
        let (state, covered) = match meeting.held {
            Held::Held => ("Holdt", covered.map(|goals| format!("{goals} er drøftet."))),
            Held::Planned => ("Planlagt", covered.map(|goals| format!("{goals} er på dagsordenen."))),
            Held::Cancelled => ("Aflyst", None),
        };
        let people: Vec<String> = meeting.participants.iter().map(|name| self.say(name)).collect();
        json!({
            "number": meeting.number, "on": danish::weekday(meeting.at), "state": state, "covered": covered,
            "people": danish::listed(&people),
        })
    }
}

fn text<'v>(value: &'v Value, key: &str) -> &'v str {
    value[key].as_str().unwrap_or_default()
}

fn proof(proof: Proof) -> &'static str {
    match proof {
        Proof::SignIn => "sign-in",
        Proof::Demonstration => "demonstration",
        Proof::Elsewhere => "elsewhere",
    }
}

fn relation(link: &Value) -> &'static str {
    match text(link, "relation") {
        "implements" => "Udmønter",
        "constrained_by" => "Begrænses af",
        _ => "Bidrager til",
    }
}

fn is_text(kind: &SectionKind) -> bool {
    matches!(kind, SectionKind::Text | SectionKind::TextWithPrevious)
}

fn shows(kind: &SectionKind, origin: &str) -> bool {
    match kind {
        SectionKind::Goals(Some(wanted)) => wanted == origin,
        SectionKind::Goals(None) => true,
        _ => false,
    }
}
