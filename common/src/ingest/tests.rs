//! Reading whole inputs: what is counted, what is fatal, what the visitor sees.

use std::io::{Cursor, Write};

use super::*;

const GOOD: &str = "192.0.2.7 - - [17/May/2015:10:05:03 +0000] \"GET /a HTTP/1.1\" 200 5\n";
const NOISE: &str = "192.0.2.7 - - [17/May/2015:10:05:03 +0000] \"\\x16\\x03\" 400 5\n";

fn stream(text: &str, options: &Options) -> Result<(ReadReport, Vec<String>)> {
    let mut seen = Vec::new();
    let report =
        read_stream(Cursor::new(text), "access.log", Format::Common, options, &mut |record, place| {
            let Record::Call(call) = record else { panic!("not a call: {record:?}") };
            seen.push(format!("{}:{} {}", place.file, place.line, call.target));
            Ok(())
        })?;
    Ok((report, seen))
}

#[test]
fn every_line_is_accounted_for() {
    let text =
        [GOOD, "\n", NOISE, "  \n", "broken\n", GOOD, &"x".repeat(300), "\n", GOOD.trim_end()].concat();
    let options = Options { max_line: 200, max_malformed: 0.5, ..Options::default() };
    let (report, seen) = stream(&text, &options).expect("few enough are malformed");
    assert_eq!(seen, ["access.log:1 /a", "access.log:6 /a", "access.log:8 /a"]);
    assert_eq!(report.lines, report.records + report.blank + report.not_http + report.faults());
    insta::assert_snapshot!(report.to_string().replace(&"x".repeat(100), "x…"), @r"
    records: 3, lines: 8, files: 1; not about HTTP: 1; malformed because line is too long: 1; malformed because address is missing: 1
      access.log:5: address is missing: broken
      access.log:7: line is too long: x…xxxxxxxxxxxxxxxxxxxx
    ");
}

#[test]
fn too_many_malformed_lines_name_the_file_and_the_lines() {
    let text = [GOOD.repeat(8).as_str(), "broken \x07\n", "also\n"].concat();
    assert!(stream(&text, &Options { max_malformed: 0.2, ..Options::default() }).is_ok());
    let error = stream(&text, &Options::default()).expect_err("20 % are malformed");
    insta::assert_snapshot!(format!("{error:#}"), @r"
    2 of 10 lines are not in format common (more than 10 %); the first ones are:
      access.log:9: identity is missing: broken \x07
      access.log:10: address is missing: also
    ");
    assert!(stream(&NOISE.repeat(10), &Options::default()).is_ok(), "noise is no fault of the log");
}

#[test]
fn a_file_in_another_format_is_given_up_early() {
    let text = ["{}\n".repeat(10_000), GOOD.repeat(1_000_000 / GOOD.len())].concat();
    let error = stream(&text, &Options { max_malformed: 0.9, ..Options::default() }).expect_err("hopeless");
    assert!(error.to_string().starts_with("none of its first 10000 lines is in format common"), "{error}");
}

#[test]
fn files_are_read_in_order_and_errors_name_them() {
    let dir = tempfile::tempdir().expect("temporary directory");
    let path = |name: &str| dir.path().join(name).display().to_string();
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    packed.write_all(GOOD.as_bytes()).expect("memory can be written");
    std::fs::write(path("access.log.1.gz"), packed.finish().expect("memory can be written")).expect("file");
    std::fs::write(path("access.log"), GOOD.repeat(2)).expect("file");

    let mut lines = Vec::new();
    let report = read(&[path("access.log*")], Format::Common, &Options::default(), &mut |_, place| {
        lines.push((place.file.ends_with(".gz"), place.line));
        Ok(())
    });
    assert_eq!(report.expect("files can be read").files, 2);
    assert_eq!(lines, [(false, 1), (false, 2), (true, 1)]);

    std::fs::write(path("cut.gz"), &std::fs::read(path("access.log.1.gz")).expect("file")[..30])
        .expect("file");
    let error = read(&[path("cut.gz")], Format::Common, &Options::default(), &mut |_, _| Ok(()));
    assert!(format!("{:#}", error.expect_err("cut off")).contains("cut.gz"));
    let stop =
        read(&[path("access.log")], Format::Common, &Options::default(), &mut |_, _| anyhow::bail!("enough"));
    assert!(format!("{:#}", stop.expect_err("the visitor stops")).contains("enough"));
}

#[test]
fn formats_are_known_by_name() {
    assert_eq!("nginx-json".parse(), Ok(Format::NginxJson));
    for &format in Format::value_variants() {
        assert_eq!(format.to_string().parse(), Ok(format));
    }
    assert!("apache".parse::<Format>().expect_err("unknown").contains("known are combined, common"));
}

#[test]
fn a_spool_is_read_as_it_was_written() {
    use crate::spool::{CALLS, Extra, Rows, VERSION, VERSION_KEY, schema};
    use parquet::arrow::ArrowWriter;
    use parquet::file::metadata::KeyValue;
    use parquet::file::properties::WriterProperties;

    let dir = tempfile::tempdir().expect("temporary directory");
    let path = |name: &str| dir.path().join(name);
    let calls = [
        Call { start: 5_000, method: "GET", target: "/a", caller: "ann", gap: true, ..Call::default() },
        Call { start: 7_000, method: "PUT", target: "/b", caller: "bob", status: 204, ..Call::default() },
    ];
    let write = |name: &str, version: &str| {
        let properties = WriterProperties::builder()
            .set_key_value_metadata(Some(vec![KeyValue::new(VERSION_KEY.to_owned(), version.to_owned())]));
        let file = std::fs::File::create(path(name)).expect("file");
        let mut writer = ArrowWriter::try_new(file, schema(), Some(properties.build())).expect("writer");
        let mut rows = Rows::default();
        rows.push(&calls[0], &Extra::default());
        rows.push(&calls[1], &Extra { interrupted: true, ..Extra::default() });
        writer.write(&rows.finish().expect("columns of equal length")).expect("rows");
        writer.close().expect("file");
    };
    std::fs::create_dir_all(path(CALLS)).expect("directory");
    write("calls/host-1-0.parquet", VERSION);
    write("calls/host-1-1.parquet.tmp", VERSION);
    write("findings.parquet", VERSION);

    let mut seen = Vec::new();
    let spool = [dir.path().display().to_string()];
    let report = read(&spool, Format::Spool, &Options::default(), &mut |record, place| {
        seen.push(match record {
            Record::Call(call) => (place.line, calls.iter().position(|&other| other == call)),
            Record::Interruption(7_000) => (place.line, None),
            other => panic!("{other:?}"),
        });
        Ok(())
    });
    assert_eq!(seen, [(1, Some(0)), (1, None), (2, Some(1))]);
    assert_eq!(report.expect("a spool").records, 2);

    let error = |name: &str| {
        let file = [path(name).display().to_string()];
        let error = read(&file, Format::Spool, &Options::default(), &mut |_, _| Ok(())).expect_err(name);
        format!("{error:#}").replace(&file[0], "FILE")
    };
    write("other.parquet", "9");
    assert_eq!(
        error("other.parquet"),
        r#"failed to read FILE: spool version Some("9") is not known, only "1""#
    );
    std::fs::write(path("cut.parquet"), "PAR1 and no more").expect("file");
    assert!(error("cut.parquet").starts_with("failed to read FILE: it is not a whole Parquet file"));
    assert!(read(&["-"], Format::Spool, &Options::default(), &mut |_, _| Ok(())).is_err());
}
