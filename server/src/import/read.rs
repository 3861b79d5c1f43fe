//! From files to [`Data`]: each fault with its file, the place in it and the reason, all of them at once.

use std::{borrow::Cow, collections::BTreeMap, fmt::Write, fs, io, path::Path};

use rust_embed::RustEmbed;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::{
    Error, Fault, Source,
    data::{
        Agreement, Data, DocumentsFile, FeedbackFile, MeetingsFile, MunicipalityFile, OrganisationFile, PastFile, PeopleFile, RolesFile,
        TemplateFile, TimePlanFile,
    },
};

#[derive(RustEmbed)]
#[folder = "../demo-data"]
struct Embedded;

/// The version of the data's shape that is read here.
const SCHEMA_VERSION: u64 = 1;

/// One file is at most this large: an import is read into memory whole.
const FILE_BYTES_MAX: u64 = 16 * 1024 * 1024;

/// The JSON files of the source by name, `agreements/…` included.
type Files = BTreeMap<String, Cow<'static, [u8]>>;

/// Reads and decodes everything. Faults of shape are collected; what could be read is returned with them.
pub(super) fn read(source: &Source) -> Result<(Data, Vec<Fault>), Error> {
    let mut files = match source {
        Source::Demo => embedded(),
        Source::Dir(dir) => from_dir(dir)?,
    };
    let mut faults = Vec::new();
    let mut data = Data::default();
    let agreements: Vec<String> = files.keys().filter(|name| name.starts_with("agreements/")).cloned().collect();
    {
        let mut take = |name: &str| files.remove(name);
        data.municipality = required::<MunicipalityFile>("municipality.json", &mut take, &mut faults);
        data.organisation =
            required::<OrganisationFile>("organisation.json", &mut take, &mut faults).map_or_else(Vec::new, |file| file.nodes);
        data.people = required::<PeopleFile>("people.json", &mut take, &mut faults).map_or_else(Vec::new, |file| file.people);
        data.roles = required::<RolesFile>("roles.json", &mut take, &mut faults).map_or_else(Vec::new, |file| file.roles);
        data.timeplan = required::<TimePlanFile>("timeplan.json", &mut take, &mut faults);
        data.documents =
            required::<DocumentsFile>("governance-documents.json", &mut take, &mut faults).map_or_else(Vec::new, |file| file.documents);
        data.templates = required::<TemplateFile>("agreement-template.json", &mut take, &mut faults);
        data.meetings = required::<MeetingsFile>("meetings.json", &mut take, &mut faults).map_or_else(Vec::new, |file| file.meetings);
        data.feedback = required::<FeedbackFile>("feedback.json", &mut take, &mut faults);
        for name in agreements {
            let Some(value) = json(&name, &take(&name).unwrap_or_default(), &mut faults) else { continue };
            if value.get("agreements").is_some() {
                let file = decode::<PastFile>(&name, value, &mut faults);
                let past = file.map_or_else(Vec::new, |file| file.agreements);
                data.past.extend(past.into_iter().enumerate().map(|(place, agreement)| (name.clone(), place, agreement)));
            } else if let Some(agreement) = decode::<Agreement>(&name, value, &mut faults) {
                data.agreements.push((name, agreement));
            }
        }
    }
    Ok((data, faults))
}

fn embedded() -> Files {
    let names = Embedded::iter().filter(|name| Path::new(&**name).extension().is_some_and(|extension| extension == "json"));
    names.filter_map(|name| Embedded::get(&name).map(|file| (name.into_owned(), file.data))).collect()
}

fn from_dir(dir: &Path) -> Result<Files, Error> {
    let mut files = Files::new();
    for (prefix, folder) in [("", dir.to_owned()), ("agreements/", dir.join("agreements"))] {
        let entries = match fs::read_dir(&folder) {
            Ok(entries) => entries,
            Err(error) if !prefix.is_empty() && error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => return Err(Error::Read { file: folder.display().to_string(), error }),
        };
        for entry in entries {
            let unreadable = |error| Error::Read { file: folder.display().to_string(), error };
            let path = entry.map_err(unreadable)?.path();
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            if path.extension().is_some_and(|extension| extension == "json") && path.is_file() {
                let unreadable = |error| Error::Read { file: path.display().to_string(), error };
                if fs::metadata(&path).map_err(unreadable)?.len() > FILE_BYTES_MAX {
                    return Err(unreadable(io::Error::other(format!("larger than {FILE_BYTES_MAX} bytes"))));
                }
                files.insert(format!("{prefix}{name}"), Cow::Owned(fs::read(&path).map_err(unreadable)?));
            }
        }
    }
    Ok(files)
}

fn required<T: DeserializeOwned>(
    name: &str,
    take: &mut impl FnMut(&str) -> Option<Cow<'static, [u8]>>,
    faults: &mut Vec<Fault>,
) -> Option<T> {
    let Some(bytes) = take(name) else {
        faults.push(Fault::new(name, "", "the file is missing"));
        return None;
    };
    let value = json(name, &bytes, faults)?;
    decode(name, value, faults)
}

fn json(name: &str, bytes: &[u8], faults: &mut Vec<Fault>) -> Option<Value> {
    match serde_json::from_slice::<Value>(bytes) {
        Ok(value) => {
            let before = faults.len();
            refuse_nul(name, &value, &mut String::new(), faults);
            (faults.len() == before).then_some(value)
        }
        Err(error) => {
            faults.push(Fault::new(name, format!("line {} column {}", error.line(), error.column()), format!("not JSON: {error}")));
            None
        }
    }
}

/// `PostgreSQL` stores no U+0000, and the live text refuses it.
fn refuse_nul(name: &str, value: &Value, path: &mut String, faults: &mut Vec<Fault>) {
    let length = path.len();
    match value {
        Value::String(text) if text.contains('\0') => faults.push(Fault::new(name, path.as_str(), "holds the character U+0000")),
        Value::Array(items) => {
            for (place, item) in items.iter().enumerate() {
                let _ = write!(path, "[{place}]");
                refuse_nul(name, item, path, faults);
                path.truncate(length);
            }
        }
        Value::Object(members) => {
            for (key, member) in members {
                if !path.is_empty() {
                    path.push('.');
                }
                path.push_str(key);
                refuse_nul(name, member, path, faults);
                path.truncate(length);
            }
        }
        _ => {}
    }
}

fn decode<T: DeserializeOwned>(name: &str, value: Value, faults: &mut Vec<Fault>) -> Option<T> {
    let version = value.get("schema_version").and_then(Value::as_u64);
    if version != Some(SCHEMA_VERSION) {
        faults.push(Fault::new(name, "schema_version", format!("this build reads version {SCHEMA_VERSION} of the data")));
        return None;
    }
    match serde_path_to_error::deserialize(value) {
        Ok(decoded) => Some(decoded),
        Err(error) => {
            let path = error.path().to_string();
            faults.push(Fault::new(name, if path == "." { "" } else { &path }, error.inner().to_string()));
            None
        }
    }
}
