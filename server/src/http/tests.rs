//! The description and the routes, and what strangers get.

use utoipa::openapi::RefOr;

use super::*;

/// Paths that are answered by hand, each with the reason why it is not described.
const NOT_DESCRIBED: [(&str, &str); 1] = [("/api/openapi.json", "is the description")];

/// Every `/api` path that stands in the source of the routes, in `path = "…"` of a described one or in `.route("…"`.
fn paths_in_source() -> Vec<String> {
    let mut files = vec![std::path::PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/src/http.rs"))];
    files.extend(std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/src/http")).unwrap().map(|entry| entry.unwrap().path()));
    let mut paths = Vec::new();
    for file in files.iter().filter(|file| file.extension().is_some_and(|extension| extension == "rs") && !file.ends_with("tests.rs")) {
        let source = std::fs::read_to_string(file).unwrap();
        for before in ["path = \"", ".route(\""] {
            let after = source.split(before).skip(1);
            paths.extend(after.map(|rest| rest.split('"').next().unwrap().to_owned()).filter(|path| path.starts_with("/api")));
        }
    }
    paths.sort();
    paths.dedup();
    paths
}

#[test]
fn every_route_is_described() {
    let described = description();
    for path in paths_in_source() {
        let by_hand = NOT_DESCRIBED.iter().any(|(not, _)| *not == path);
        assert!(by_hand || described.paths.paths.contains_key(&path), "{path} is served but not described");
    }
}

#[test]
fn everything_that_the_description_names_is_described() {
    let description = description();
    let json = serde_json::to_string(&description).unwrap();
    let schemas = description.components.unwrap().schemas;
    let named = json.split("#/components/schemas/").skip(1).map(|rest| rest.split('"').next().unwrap());
    for name in named {
        assert!(matches!(schemas.get(name), Some(RefOr::T(_))), "{name} is referred to but not described");
    }
    assert_eq!(json.matches("\"openapi\":\"3.1").count(), 1);
}

#[test]
fn every_operation_has_a_name_of_its_own() {
    let json = serde_json::to_value(description()).unwrap();
    let operations = json["paths"].as_object().unwrap().values().flat_map(|path| path.as_object().unwrap().values());
    let mut names: Vec<&str> = operations.map(|operation| operation["operationId"].as_str().unwrap()).collect();
    let all = names.len();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), all);
}
