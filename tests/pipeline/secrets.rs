//! What people must not read in a log, a model or a finding: values of queries, tokens and cookies.

use std::fs::{self, File};

use arrow_array::Array as _;
use arrow_array::cast::AsArray as _;
use assert_cmd::Command;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use crate::support::shop::SECRET;
use crate::support::{Ended, SHOP, agent, log, path, run, text, trainer};

fn silent(what: &str, bytes: &[u8]) {
    let found = bytes.windows(SECRET.len()).any(|part| part == SECRET.as_bytes());
    assert!(!found, "{what} shows a secret: {}", String::from_utf8_lossy(bytes));
}

fn silent_end(what: &str, ended: &Ended) {
    silent(what, ended.stdout.as_bytes());
    silent(what, ended.stderr.as_bytes());
}

#[test]
fn secrets_come_out_nowhere() {
    let dir = tempfile::tempdir().expect("a directory");
    for format in log::FORMATS {
        let today = SHOP.today_as(format);
        let (model, counted) = (path(dir.path(), "m.gait"), path(dir.path(), "s.json"));
        let today = text(&today);
        silent_end("train", &trainer(&["train", "--format", format, "--out", &model, today]).good());
        silent("the model", &fs::read(&model).expect("a model"));
        silent_end("inspect", &trainer(&["inspect", &model]).good());
        silent_end("score", &trainer(&["score", "--format", format, "--model", &SHOP.model, today]).good());
        for pretty in [&["--pretty"][..], &[]] {
            let arguments =
                ["replay", "--format", format, "--model", &SHOP.model, "--summary", &counted, today];
            let ended = agent(&[&arguments[..], pretty].concat()).good();
            assert!(!ended.stdout.is_empty(), "there are findings");
            silent_end("replay", &ended);
            silent("the summary", &fs::read(&counted).expect("a summary"));
        }
    }
}

#[test]
fn the_spool_holds_no_secret() {
    let mut rows = 0;
    for file in glob(&SHOP.today_as("spool").join("calls")) {
        silent("the spool", &fs::read(&file).expect("file"));
        let reader =
            ParquetRecordBatchReaderBuilder::try_new(File::open(file).expect("file")).expect("a whole file");
        for batch in reader.build().expect("columns") {
            let batch = batch.expect("rows");
            rows += batch.num_rows();
            for column in batch.columns() {
                let texts = column.as_string_opt::<i32>().into_iter().flatten().flatten();
                texts.for_each(|text| silent("a column of the spool", text.as_bytes()));
                assert!(!column.is_nullable());
            }
        }
    }
    assert_eq!(rows, SHOP.today.len());
}

/// A line that cannot be read is shown, for that is how its fault is found: but without what it carries.
#[test]
fn samples_of_malformed_lines_hide_values() {
    let line = log::combined(&SHOP.today[0]);
    let bad = [
        line.replace("HTTP/1.1\" 200", "HTTP/1.1\" xyz"),
        line.replace("/Mar/", "/Mrz/"),
        format!(r#"{{"ts":"never","path":"/a?token={SECRET}","caller":"ann"}}"#),
        format!("GET /a?b={SECRET}&c={SECRET} HTTP/1.1"),
    ]
    .join("\n");
    for format in ["combined", "calls", "nginx-json"] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_agent-under-test"));
        command.args(["replay", "--format", format, "-"]).write_stdin(bad.clone());
        let ended = run(&mut command);
        assert_eq!(ended.code, Some(1));
        assert!(ended.stderr.contains("<stdin>:1: "), "{}", ended.stderr);
        silent_end("a sample", &ended);
    }
}

/// All files below a directory.
fn glob(dir: &std::path::Path) -> Vec<std::path::PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(dir).expect("directory") {
        let path = entry.expect("entry").path();
        if path.is_dir() { files.extend(glob(&path)) } else { files.push(path) }
    }
    files
}
