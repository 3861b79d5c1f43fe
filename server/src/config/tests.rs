use clap::{CommandFactory, Parser};

use super::*;

#[derive(Parser)]
struct Line {
    #[command(flatten)]
    settings: Settings,
}

fn settings(flags: &[&str]) -> Settings {
    let data_dir = std::env::temp_dir().join("samspil-config-tests");
    let data_dir = format!("--data-dir={}", data_dir.display());
    Line::parse_from(["samspil", &data_dir].iter().chain(flags)).settings
}

const REAL: [&str; 5] = [
    "--database-url=postgres://samspil_app@localhost/samspil",
    "--public-url=https://samspil.example.dk/",
    "--oidc-issuer=https://login.example.dk",
    "--oidc-client-id=samspil",
    "--oidc-client-secret=hemmelig",
];

#[test]
fn settings_of_a_real_server_are_accepted() {
    let config = settings(&REAL).check().unwrap();
    assert_eq!(config.public_url.as_deref(), Some("https://samspil.example.dk"));
    assert!(matches!(config.provider, Provider::Oidc(oidc) if oidc.client_secret.reveal() == "hemmelig"));
    assert_eq!(config.limits, Limits::default());
}

#[test]
fn everything_that_is_wrong_is_said_at_once_with_an_example() {
    let mut settings = settings(&["--listen=8080", "--public-url=samspil.example.dk", "--oidc-issuer=http://login.example.dk"]);
    settings.database_url = None; // The variable may be set where the tests are compiled.
    let error = settings.check().unwrap_err();
    insta::assert_snapshot!(error, @r#"
    DATABASE_URL: is not set
        for example DATABASE_URL=postgres://samspil_app:secret@localhost/samspil
    SAMSPIL_OIDC_ISSUER: "http://login.example.dk" does not begin with https://
        for example SAMSPIL_OIDC_ISSUER=https://login.example.dk/realms/kommune
    SAMSPIL_OIDC_CLIENT_ID: is not set
        for example SAMSPIL_OIDC_CLIENT_ID=samspil
    SAMSPIL_OIDC_CLIENT_SECRET_FILE: is not set, nor is SAMSPIL_OIDC_CLIENT_SECRET
        for example SAMSPIL_OIDC_CLIENT_SECRET_FILE=/etc/samspil/client-secret
    SAMSPIL_LISTEN: "8080" is not an address and a port
        for example SAMSPIL_LISTEN=127.0.0.1:8080
    SAMSPIL_PUBLIC_URL: "samspil.example.dk" is not http(s)://, a host and perhaps a port, without a path
        for example SAMSPIL_PUBLIC_URL=https://samspil.example.dk
    "#);
}

#[test]
fn a_limit_that_is_no_number_is_refused_with_its_variable() {
    let Err(error) = Line::try_parse_from(["samspil", "--frame-bytes-max=0"]) else { panic!("0 was accepted") };
    assert!(error.to_string().contains("for example SAMSPIL_LIMIT_FRAME_BYTES_MAX=1048576"), "{error}");
}

#[test]
fn the_demo_serves_this_machine_alone() {
    let error = settings(&["--listen=0.0.0.0:8080"]).check_demo(String::new()).unwrap_err();
    assert_eq!(error.0.iter().map(|wrong| wrong.setting).collect::<Vec<_>>(), ["SAMSPIL_LISTEN"]);
    let error = settings(&["--demo-idp-listen=192.0.2.1:8081"]).check_demo(String::new()).unwrap_err();
    assert_eq!(error.0.iter().map(|wrong| wrong.setting).collect::<Vec<_>>(), ["SAMSPIL_DEMO_IDP_LISTEN"]);
}

#[test]
fn time_stamps_need_somebody_to_trust_and_have_no_place_in_the_demo() {
    let asked = "--timestamp-urls=https://tsa.example.dk,ftp://tsa.example.dk";
    let with = |more: &[&'static str]| settings(&[&REAL[..], &[asked], more].concat()).check().unwrap_err();
    let wrong: Vec<_> = with(&[]).0.iter().map(|wrong| wrong.setting).collect();
    assert_eq!(wrong, ["SAMSPIL_TIMESTAMP_URLS", "SAMSPIL_TIMESTAMP_CA_FILE"]);
    let error = settings(&[asked]).check_demo(String::new()).unwrap_err();
    assert_eq!(error.0[0].setting, "SAMSPIL_TIMESTAMP_URLS");
}

#[test]
fn a_secret_is_read_from_its_file_and_never_shown() {
    let file = std::env::temp_dir().join(format!("samspil-secret-{}", std::process::id()));
    std::fs::write(&file, "fra-fil\n").unwrap();
    let with_file = format!("--oidc-client-secret-file={}", file.display());
    let config = settings(&[REAL[0], REAL[1], REAL[2], REAL[3], &with_file]).check().unwrap();
    assert!(matches!(&config.provider, Provider::Oidc(oidc) if oidc.client_secret.reveal() == "fra-fil"));
    assert!(!format!("{config:?}").contains("fra-fil"));
    let both: Vec<_> = REAL.iter().copied().chain([with_file.as_str()]).collect();
    assert_eq!(settings(&both).check().unwrap_err().0[0].setting, "SAMSPIL_OIDC_CLIENT_SECRET");
    std::fs::remove_file(file).unwrap();
}

#[test]
fn an_origin_is_https_unless_it_is_this_machine() {
    for (url, accepted) in [
        ("https://samspil.example.dk", true),
        ("http://127.0.0.1:8080", true),
        ("http://localhost:8080", true),
        ("http://[::1]:8080", true),
        ("http://samspil.example.dk", false),
        ("http://127.0.0.1.example.dk", false),
        ("https://samspil.example.dk/sti", false),
        ("https://user@samspil.example.dk", false),
        ("ftp://samspil.example.dk", false),
        ("https://smørrebrød.example", false),
    ] {
        let mut check = Check::default();
        assert_eq!(check.origin("SAMSPIL_PUBLIC_URL", url, PUBLIC_EXAMPLE).is_some(), accepted, "{url}");
    }
}

#[test]
fn every_setting_stands_in_the_readme() {
    let readme = include_str!("../../../README.md");
    for argument in Line::command().get_arguments() {
        let Some(variable) = argument.get_env().and_then(|name| name.to_str()) else { continue };
        // A secret and its file share a line.
        let written =
            readme.contains(&format!("`{variable}`")) || readme.contains(&format!("`{}`, `…_FILE`", variable.trim_end_matches("_FILE")));
        assert!(written, "{variable}");
    }
}

#[test]
fn a_real_server_does_not_take_a_point_to_stop_at() {
    let flags: Vec<&str> = REAL.into_iter().chain(["--stop-at=before_commit"]).collect();
    let error = settings(&flags).check().unwrap_err();
    assert!(error.to_string().starts_with("SAMSPIL_STOP_AT: is set"), "{error}");
    assert!(settings(&["--stop-at=before_commit:2"]).check_demo(String::new()).is_ok());
}

/// Where each limit is tried: one below, at it, one above. The test stands in that file.
const TRIED: &[(&str, &str, &str)] = &[
    ("frame_bytes_max", LIVE, "l1_a_frame_of_the_largest_size_is_read_and_a_larger_one_is_not"),
    ("update_blocks_max", ADMISSION, "r1_no_more_blocks_than_the_limit"),
    ("update_cpu_ms_max", ROOM, "l2_an_update_that_takes_too_long_is_taken_back_and_the_others_write_on"),
    ("update_clients_max", ADMISSION, "r1_no_more_clients_with_new_blocks_than_the_limit"),
    ("value_depth_max", ADMISSION, "r3_values_are_not_nested_beyond_the_limit"),
    ("type_depth_max", ADMISSION, "r3_types_are_not_nested_beyond_the_limit"),
    ("document_bytes_max", ROOM_LIMITS, "l5_document_bytes_max"),
    ("document_bytes_warn", ROOM_LIMITS, "l5_document_bytes_warn"),
    ("document_clients_warn", ROOM_LIMITS, "l6_document_clients_warn"),
    ("document_clients_max", ROOM_LIMITS, "l6_document_clients_max"),
    ("state_vector_bytes_max", ROOM_LIMITS, "l7_state_vector_bytes_max"),
    ("presence_bytes_max", ROOM_LIMITS, "l9_presence_bytes_max"),
    ("presence_per_s", ROOM_LIMITS, "l9_presence_per_s"),
    ("presence_idle_s", ROOM_LIMITS, "l9_presence_idle_s"),
    ("room_unsaved_updates_max", ROOM_LIMITS, "l11_room_unsaved_updates_max"),
    ("room_unsaved_bytes_max", ROOM_LIMITS, "l11_room_unsaved_bytes_max"),
    ("refusals_before_close", ROOM_LIMITS, "l13_refusals_before_close"),
    ("comment_chars_max", COMMENTS, "l15_what_is_said_beside_a_text_is_bounded"),
    ("comment_mentions_max", COMMENTS, "l15_what_is_said_beside_a_text_is_bounded"),
    ("thread_comments_max", COMMENTS, "l15_what_is_said_beside_a_text_is_bounded"),
    ("document_threads_max", COMMENTS, "l15_what_is_said_beside_a_text_is_bounded"),
    ("journal_batch_updates_max", ROOM_LIMITS, "journal_batch_updates_max"),
    ("journal_batch_bytes_max", ROOM_LIMITS, "journal_batch_bytes_max"),
    ("update_same_origin_max", ADMISSION, "l2_no_more_blocks_at_one_origin_than_the_limit"),
    ("update_delete_ranges_max", ADMISSION, "l3_no_more_new_delete_ranges_than_the_limit"),
    ("attribute_bytes_max", ADMISSION, "l4_no_attribute_is_longer_than_the_limit"),
    ("peer_updates_per_s", GATEWAY, "l8_peer_updates_per_s"),
    ("peer_updates_burst", GATEWAY, "l8_peer_updates_burst"),
    ("peer_bytes_per_s", GATEWAY, "l8_peer_bytes_per_s"),
    ("peer_stalled_s", GATEWAY, "l8_peer_stalled_s"),
    ("peer_cpu_ms_per_10s", ROOM_LIMITS, "l8_peer_cpu_ms_per_10s"),
    ("peer_queue_bytes_max", OUTBOX, "l10_peer_queue_bytes_max"),
    ("peer_queue_messages_max", OUTBOX, "l10_peer_queue_messages_max"),
    ("sockets_per_session_max", GATEWAY, "l12_sockets_per_session_max"),
    ("journal_batch_updates_max", JOURNAL, "journal_batch_updates_max_of_many_rooms"),
    ("journal_batch_bytes_max", JOURNAL, "journal_batch_bytes_max_of_many_rooms"),
    ("room_idle_s", TASK, "room_idle_s"),
    ("database_connections_max", SETUP, "database_connections_max"),
    ("request_bytes_max", SERVER, "l14_request_bytes_max"),
    ("request_ms_max", DOOR, "l14_request_ms_max"),
    ("unacknowledged_s_max", HEALTH, "unacknowledged_s_max"),
    ("verify_bytes_max", SIGNOFFS, "l17_verify_bytes_max"),
    ("prints_at_once_max", PAPERS, "prints_at_once_max"),
    ("stop_ms_max", APP, "stop_ms_max"),
    ("header_ms_max", CONNECTIONS, "l14_header_ms_max"),
    ("connections_max", CONNECTIONS, "connections_max"),
    ("sign_ins_per_min", PACE, "l16_sign_ins_per_min"),
    ("sign_ins_burst", PACE, "l16_sign_ins_burst"),
];
const SIGNOFFS: &str = include_str!("../../../tests/signoffs.rs");
const PAPERS: &str = include_str!("../papers/tests.rs");
const COMMENTS: &str = include_str!("../../../tests/comments.rs");
const APP: &str = include_str!("../app.rs");
const CONNECTIONS: &str = include_str!("../connections.rs");
const PACE: &str = include_str!("../http/pace.rs");
const DOOR: &str = include_str!("../http/door.rs");
const HEALTH: &str = include_str!("../http/health.rs");
const SERVER: &str = include_str!("../../../tests/server.rs");
const SETUP: &str = include_str!("../store/setup.rs");
const TASK: &str = include_str!("../rooms/task.rs");
const GATEWAY: &str = include_str!("../gateway/tests.rs");
const JOURNAL: &str = include_str!("../rooms/journal.rs");
const LIVE: &str = include_str!("../../../tests/live.rs");
const ADMISSION: &str = include_str!("../rooms/admission/tests.rs");
const OUTBOX: &str = include_str!("../rooms/outbox.rs");
const ROOM: &str = include_str!("../rooms/room/tests.rs");
const ROOM_LIMITS: &str = include_str!("../rooms/room/tests/limits.rs");

#[test]
fn every_limit_is_in_the_protocol_and_is_tried_below_at_and_above() {
    let spec = include_str!("../../../client-protocol/SPEC.md");
    for (variable, ..) in Limits::default().list() {
        let name = variable.trim_start_matches("SAMSPIL_LIMIT_").to_lowercase();
        assert!(spec.contains(&format!("`{name}`")), "SPEC.md lacks {name}");
        assert!(TRIED.iter().any(|(limit, ..)| *limit == name), "{name} is tried nowhere");
    }
    for (name, file, test) in TRIED {
        assert!(file.contains(&format!("fn {test}(")), "{name}: there is no test {test}");
    }
}
