//! A list that was made up, and an agent that serves it. Shared with the tests in the browser.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use gait_common::identity::file::{self, ListFile, Origin};
use gait_common::identity::{Document, Entity, EntityKind, ListData, Name, NameKind, Source};

/// Nobody of this name exists.
pub(crate) const EXACT: &str = "Ivan Petrovich Zhdanov-Testov";

/// Writes a list of few identities.
pub(crate) fn list(path: &Path) {
    write(path, entities());
}

pub(crate) fn write(path: &Path, entities: Vec<Entity>) {
    let source = Source {
        name: "made-up".to_owned(),
        version: "7".to_owned(),
        date: "2026-02-27".to_owned(),
        licence: "none".to_owned(),
        url: String::new(),
    };
    let data = ListData { sources: vec![source], entities, ..ListData::default() };
    let list = ListFile { data, origins: vec![Origin::default()], links: Vec::new() };
    // As a publisher's list is replaced: whole or not at all.
    let unfinished = path.with_extension("tmp");
    fs::write(&unfinished, file::write(&list).expect("a list")).expect("a file");
    fs::rename(unfinished, path).expect("a file");
}

pub(crate) fn entities() -> Vec<Entity> {
    let dates = |dates: &[&str]| dates.iter().map(|date| date.parse().expect("a date")).collect();
    let document =
        |number: &str| Document { kind: "passport".into(), number: number.into(), ..Document::default() };
    vec![
        Entity {
            id: "100".to_owned(),
            kind: EntityKind::Person,
            names: vec![Name::primary(EXACT), Name::new("Vanya the Tester", NameKind::Weak)],
            birth_dates: dates(&["1961-03-24"]),
            countries: vec!["RU".to_owned()],
            documents: vec![document("AB 123456")],
            addresses: vec!["1 Nowhere Street, Testgrad".to_owned()],
            programs: vec!["MADE-UP".to_owned()],
            notes: "There is no such person.".to_owned(),
            ..Entity::default()
        },
        Entity {
            id: "200".to_owned(),
            kind: EntityKind::Person,
            names: vec![
                Name::primary("OUYANG, Minghua"),
                Name::new("欧阳明华", NameKind::OriginalScript),
                Name::new("Au Yeung Ming Wa", NameKind::Alias),
            ],
            birth_dates: dates(&["1970"]),
            countries: vec!["CN".to_owned()],
            ..Entity::default()
        },
        Entity {
            id: "300".to_owned(),
            kind: EntityKind::Organisation,
            names: vec![Name::primary("Northern Testing Star Shipping Company Limited")],
            countries: vec!["KP".to_owned()],
            ..Entity::default()
        },
    ]
}

/// `gait-agent web`, serving on a port of its own; it ends with the test.
pub(crate) struct Served {
    pub(crate) process: Child,
    pub(crate) address: SocketAddr,
}

impl Served {
    /// Starts the agent with the list, `[screening]` and `[web]` as given.
    pub(crate) fn start(program: &str, dir: &Path, screening: &str, web: &str) -> Self {
        let config = dir.join("gait.toml");
        let text = format!(
            "state_dir = {dir:?}\n[screening]\n{screening}\n[web]\nlisten = \"127.0.0.1:0\"\n{web}\n"
        );
        fs::write(&config, text).expect("a file");
        let mut process = Command::new(program)
            .args(["web", "--config"])
            .arg(config)
            .stderr(Stdio::piped())
            .spawn()
            .expect("the agent starts");
        let mut said = BufReader::new(process.stderr.take().expect("a pipe")).lines().map_while(Result::ok);
        let address =
            said.find_map(|line| Some(line.split_once("serving http://")?.1.parse().expect("an address")));
        // What it says later must not fill the pipe.
        std::thread::spawn(move || said.for_each(drop));
        let address = address.expect("the agent serves");
        Self { process, address }
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
