//! `gait-agent screen --batch`: every row is answered once and in its place, whatever it holds and however often the run is
//! cut off.

use std::fmt::Write as _;
use std::fs;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use super::Place;
use super::made::EXACT;

/// Rows of the file that is cut off.
const ROWS: usize = 30_000;

fn rows(text: &str) -> Vec<Vec<String>> {
    // Answers hold quotes only where a field needs them, and never a line break.
    text.lines()
        .map(|line| {
            let mut fields = vec![String::new()];
            let mut quoted = false;
            for c in line.chars() {
                match c {
                    '"' => quoted = !quoted,
                    ',' if !quoted => fields.push(String::new()),
                    c => fields.last_mut().expect("a field").push(c),
                }
            }
            fields
        })
        .collect()
}

#[test]
fn rows_keep_their_order_and_the_wrong_ones_say_why() {
    let place = Place::new();
    let mut input = b"\xef\xbb\xbfReference;Customer;DOB;Passport\r\n".to_vec();
    let long = "x".repeat(1 << 20);
    let cases = [
        (format!("1;{EXACT};1961;\r\n").into_bytes(), "block"),
        (b"2;Nobody Whatsoever;;\n".to_vec(), "pass"),
        (b"3;Iv\xffan;;\n".to_vec(), "the name is no UTF-8"),
        (format!("4;{long};;\n").into_bytes(), "the row is longer than 65536 bytes"),
        (format!("5;{};;\n", &long[..2000]).into_bytes(), "the name is longer than 1024 bytes"),
        (b"6;\x00\x1b[2J\x07\xe2\x80\xae;;\n".to_vec(), ""),
        (b"7;;;\n".to_vec(), "the name is empty"),
        (format!("8;{EXACT};31.31.1961;\n").into_bytes(), "is no date of birth"),
        (b"9\n".to_vec(), "the row has no field for the name"),
        (b"=2+2;\"=cmd()\nand, \"\"more\"\"\";;\n".to_vec(), "pass"),
        (format!("11;{EXACT};;\"a;b").into_bytes(), "block"),
    ];
    cases.iter().for_each(|(row, _)| input.extend_from_slice(row));
    fs::write(place.file("in.csv"), input).expect("a file");
    let (input, out) = (place.file("in.csv"), place.file("out.csv"));
    let columns = ["--column", "name=Customer", "--column", "document=Passport", "--delimiter", ";"];
    let ended = place.screen(&[&["--batch", &input, "--out", &out, "--workers", "3"], &columns[..]].concat());
    assert_eq!(ended.code, Some(12), "some rows are wrong: {}", ended.stderr);
    let text = place.read("out.csv");
    let rows = rows(&text);
    assert_eq!(rows[0][..5], ["row", "id", "name", "decision", "score"]);
    assert_eq!(rows.len(), cases.len() + 1, "{text}");
    for ((number, row), (_, wanted)) in (1..).zip(&rows[1..]).zip(&cases) {
        assert_eq!((row.len(), &row[0]), (14, &number.to_string()), "{row:?}");
        assert!(row[3] == *wanted || row[10].contains(wanted), "{wanted}: {row:?}");
    }
    assert!(text.len() < 20_000 && !text.contains('\u{1b}') && !text.contains('\0'));
    assert!(rows[10][1] == "=2+2" && rows[10][2].starts_with("'=cmd()"), "{:?}", rows[10]);
}

fn many(place: &Place) -> String {
    let mut text = String::from("id,name,birth_date\n");
    for at in 0..ROWS {
        match at % 100 {
            0 => writeln!(text, "{at},{EXACT},1961"),
            1 => writeln!(text, "{at},,"),
            2 => writeln!(text, "{at},\"Two\nLines, {at}\","),
            _ => writeln!(text, "{at},Someone Else {at},"),
        }
        .expect("memory can be written");
    }
    let path = place.file("in.csv");
    fs::write(&path, text).expect("a file");
    path
}

#[test]
fn a_run_that_is_killed_again_and_again_loses_no_row_and_doubles_none() {
    let place = Place::new();
    let (input, whole, cut) = (many(&place), place.file("whole.csv"), place.file("cut.csv"));
    let ended = place.screen(&["--batch", &input, "--out", &whole]);
    assert_eq!(ended.code, Some(12), "{}", ended.stderr);
    let (mut kills, mut sizes) = (0, Vec::new());
    for round in 0_u64.. {
        let mut process = Command::new(env!("CARGO_BIN_EXE_agent-under-test"))
            .args(["screen", "--config", &place.config, "--batch", &input, "--out", &cut, "--resume"])
            .stderr(Stdio::null())
            .spawn()
            .expect("the agent starts");
        // Killed once it has written something more, each time a little later.
        let (before, begun) = (size(&cut), Instant::now());
        while size(&cut) < before + 50_000 * (round + 1)
            && process.try_wait().expect("it can be waited for").is_none()
            && begun.elapsed() < Duration::from_secs(60)
        {
            std::thread::sleep(Duration::from_millis(1));
        }
        if process.try_wait().expect("it can be waited for").is_some() {
            break;
        }
        process.kill().expect("it runs");
        process.wait().expect("it ends");
        kills += 1;
        sizes.push(size(&cut));
        // What a host that fails leaves: half a row.
        let text = fs::read(&cut).expect("a file");
        if round % 2 == 0 {
            fs::write(&cut, &text[..text.len().saturating_sub(7)]).expect("a file");
        }
    }
    assert!(kills >= 2, "it was killed in the middle: {sizes:?}");
    let (whole, cut) = (fs::read(whole).expect("a file"), fs::read(cut).expect("a file"));
    assert!(whole == cut, "{} bytes uninterrupted, {} in pieces", whole.len(), cut.len());
    assert_eq!(rows(&String::from_utf8(whole).expect("text")).len(), ROWS + 1);
}

fn size(path: &str) -> u64 {
    fs::metadata(path).map_or(0, |meta| meta.len())
}

#[test]
fn answers_are_only_gone_on_with_where_they_belong() {
    let place = Place::new();
    let (input, out) = (place.file("in.csv"), place.file("out.csv"));
    let batch = ["--batch", &input, "--out", &out];
    let resume = [&batch[..], &["--resume"]].concat();
    fs::write(&input, "name\nann\nbob\n").expect("a file");
    place.screen(&batch).good();
    let again = place.screen(&batch);
    assert!(again.stderr.contains("holds answers: go on with it by --resume"), "{}", again.stderr);
    fs::write(&input, "name\nann\nbob\ncid\n").expect("a file");
    let more = place.screen(&resume).good();
    assert!(
        more.stderr.contains("3 rows") && more.stderr.contains("2 were answered by an earlier run"),
        "{}",
        more.stderr
    );
    fs::write(&input, "name\nann\nrob\ncid\n").expect("a file");
    let other = place.screen(&resume);
    assert!(other.stderr.contains("it differs within the first 3 rows"), "{}", other.stderr);
    fs::write(&input, "name\nann\n").expect("a file");
    let fewer = place.screen(&resume);
    assert!(fewer.stderr.contains("has fewer rows than were answered (3)"), "{}", fewer.stderr);
    fs::write(&input, "name\nann\nbob\ncid\n").expect("a file");
    let mut entities = super::made::entities();
    entities.pop();
    super::made::write(&place.dir.path().join("list"), entities);
    let list = place.screen(&resume);
    assert!(list.stderr.contains("it was begun with the list"), "{}", list.stderr);
    fs::write(&out, "not,ours\n").expect("a file");
    let foreign = place.screen(&resume);
    assert!(foreign.stderr.contains("it does not begin as answers do"), "{}", foreign.stderr);
    assert_eq!(place.read("out.csv"), "not,ours\n", "what is not ours is left alone");
    fs::write(&input, "who\nann\n").expect("a file");
    let unnamed = place.screen(&batch);
    assert!(unnamed.stderr.contains("no column is called `name`"), "{}", unnamed.stderr);
}
