use serde_json::json;

use super::*;

fn sample_file() -> Value {
    serde_json::from_str(include_str!("../../../../demo-data/idp-claims.json")).unwrap()
}

fn mapping(provider: &Value) -> RoleMapping {
    let values = provider["values"].as_object().unwrap().iter();
    let values = values.map(|(value, roles)| (value.clone(), serde_json::from_value(roles.clone()).unwrap()));
    RoleMapping::new(provider["claim"].as_str().unwrap(), values).unwrap().for_cvr("99999999")
}

fn step_up(check: &Value) -> StepUp {
    let claim = check["claim"].as_str().unwrap().to_owned();
    let text = |key: &str| check[key].as_str().map(str::to_owned);
    if let Some(value) = text("contains") {
        StepUp::Contains { claim, value }
    } else if let Some(value) = text("equals") {
        StepUp::Equals { claim, value }
    } else if let Some(level) = text("at_least") {
        StepUp::AtLeast { claim, level: Assurance::from_name(&level).unwrap() }
    } else {
        StepUp::MaxAge { claim, age: Duration::seconds(check["max_age_seconds"].as_i64().unwrap()) }
    }
}

fn at(seconds: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(1_800_000_000 + seconds, 0).unwrap()
}

#[test]
fn every_sample_gives_what_it_says() {
    let file = sample_file();
    let samples = file["samples"].as_array().unwrap();
    assert_eq!(samples.len(), 13, "a new sample wants a look at this test");
    for sample in samples {
        let (id, provider, expect) = (sample["id"].as_str().unwrap(), sample["idp"].as_str().unwrap(), &sample["expect"]);
        let claims = sample["claims"].as_object().unwrap();
        let got = mapping(&file["role_mapping"][provider]).roles(claims);
        match expect["result"].as_str().unwrap() {
            "ok" => {
                let roles: Vec<_> = got.expect(id).into_iter().map(Role::id).collect();
                let mut expected: Vec<String> = serde_json::from_value(expect["roles"].clone()).unwrap();
                expected.sort_by_key(|role| Role::from_id(role));
                assert_eq!(roles, expected, "{id}");
            }
            "deny_or_lookup" => assert_eq!(got, Err(Denied::RolesUnreadable), "{id}"),
            "deny" if id == "contexthandler-wrong-cvr" => assert_eq!(got, Err(Denied::WrongMunicipality), "{id}"),
            "deny" => assert_eq!(got, Err(Denied::NoClaim), "{id}"),
            other => panic!("{id}: {other}"),
        }
        if let Some(expected) = expect["step_up"].as_str() {
            let satisfied = step_up(&file["step_up"][provider]["check"]).satisfied(claims, at(0));
            assert_eq!(satisfied, expected == "satisfied", "{id}");
        }
    }
}

#[test]
fn what_the_claim_holds_decides() {
    let plain = || RoleMapping::new("a.roles", [("Leder".to_owned(), vec!["unit_leader".to_owned()])]).unwrap();
    let ours = r#"{"cvr":"1","p":["Leder"]}"#;
    let theirs = r#"{"cvr":"2","p":["Leder"]}"#;
    let leader = Ok(BTreeSet::from([Role::UnitLeader]));
    let cases = [
        ("a string", plain(), json!({"a": {"roles": "Leder"}}), leader.clone()),
        ("an array with strangers in it", plain(), json!({"a": {"roles": ["X", "Leder"]}}), leader.clone()),
        ("a claim whose name has a dot", plain(), json!({"a.roles": ["Leder"]}), leader.clone()),
        ("an empty array", plain(), json!({"a": {"roles": []}}), Err(Denied::NoRole)),
        ("only strangers", plain(), json!({"a": {"roles": ["leder"]}}), Err(Denied::NoRole)),
        ("no claim", plain(), json!({"a": {}}), Err(Denied::NoClaim)),
        ("null", plain(), json!({"a": {"roles": null}}), Err(Denied::NoClaim)),
        ("another shape", plain(), json!({"a": {"roles": {"Leder": true}}}), Err(Denied::RolesUnreadable)),
        ("a number among them", plain(), json!({"a": {"roles": ["Leder", 1]}}), Err(Denied::RolesUnreadable)),
        ("too many, old words", plain(), json!({"hasgroups": true}), Err(Denied::RolesUnreadable)),
        ("too many, as text", plain(), json!({"hasgroups": "true"}), Err(Denied::RolesUnreadable)),
        ("nothing left out after all", plain(), json!({"_claim_names": {}}), Err(Denied::NoClaim)),
        ("a prefix", plain().strip_prefix("/k/"), json!({"a": {"roles": ["/k/Leder"]}}), leader.clone()),
        ("without the prefix", plain().strip_prefix("/k/"), json!({"a": {"roles": ["Leder"]}}), Err(Denied::NoRole)),
        ("our privilege", plain().for_cvr("1"), json!({"a": {"roles": ours}}), leader.clone()),
        ("our privilege in base64", plain().for_cvr("1"), json!({"a": {"roles": BASE64_STANDARD.encode(ours)}}), leader.clone()),
        ("another's privilege", plain().for_cvr("1"), json!({"a": {"roles": [theirs]}}), Err(Denied::WrongMunicipality)),
        ("both", plain().for_cvr("1"), json!({"a": {"roles": [theirs, ours]}}), leader.clone()),
        ("a privilege, and we do not know who we are", plain(), json!({"a": {"roles": [ours]}}), Err(Denied::RolesUnreadable)),
        ("a privilege of nobody", plain().for_cvr("1"), json!({"a": {"roles": r#"{"p":["Leder"]}"#}}), Err(Denied::WrongMunicipality)),
        ("another's token", plain().for_cvr("1"), json!({"cvr": "2", "a": {"roles": "Leder"}}), Err(Denied::WrongMunicipality)),
    ];
    for (name, mapping, claims, expected) in cases {
        assert_eq!(mapping.roles(claims.as_object().unwrap()), expected, "{name}");
    }
}

#[test]
fn a_table_that_names_a_role_we_do_not_have_is_refused() {
    let refused = RoleMapping::new("roles", [("Leder".to_owned(), vec!["leader".to_owned()])]);
    assert_eq!(refused, Err(UnknownRole { value: "Leder".to_owned(), role: "leader".to_owned() }));
}

#[test]
fn a_fresh_sign_in_is_checked_and_not_believed() {
    let fresh = StepUp::MaxAge { claim: "auth_time".to_owned(), age: Duration::seconds(300) };
    let level = StepUp::AtLeast { claim: "loa".to_owned(), level: Assurance::Substantial };
    let second = StepUp::Contains { claim: "acrs".to_owned(), value: "c25".to_owned() };
    let at_number = |seconds: i64| json!({"auth_time": at(seconds).timestamp()});
    let cases = [
        ("just now", &fresh, at_number(-1), true),
        ("as text", &fresh, json!({"auth_time": at(-1).timestamp().to_string()}), true),
        ("written out", &fresh, json!({"auth_time": at(-1).to_rfc3339()}), true),
        ("at the limit", &fresh, at_number(-360), true),
        ("past it", &fresh, at_number(-361), false),
        ("a clock that is ahead", &fresh, at_number(60), true),
        ("too far ahead", &fresh, at_number(61), false),
        ("missing", &fresh, json!({}), false),
        ("higher", &level, json!({"loa": "High"}), true),
        ("the level", &level, json!({"loa": "Substantial"}), true),
        ("an old number", &level, json!({"loa": "3"}), true),
        ("lower", &level, json!({"loa": "Low"}), false),
        ("unknown", &level, json!({"loa": "substantial"}), false),
        ("not among them", &second, json!({"acrs": ["c1"]}), false),
        ("alone", &second, json!({"acrs": "c25"}), true),
    ];
    for (name, step_up, claims, expected) in cases {
        assert_eq!(step_up.satisfied(claims.as_object().unwrap(), at(0)), expected, "{name}");
    }
}
