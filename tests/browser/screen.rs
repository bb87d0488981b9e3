//! The search page as a person uses it: what is typed, what is read, and that nothing on it comes to life.
//!
//! With GAIT_PICTURES=DIRECTORY each page is also kept as a picture, to be looked at.

use std::path::Path;

use tempfile::TempDir;

use crate::HOSTILE;
use crate::devtools::Browser;
use crate::made::{self, EXACT, Served};

struct Desk {
    browser: Browser,
    served: Served,
    dir: TempDir,
}

/// An agent that serves the made-up list, and a browser on its page.
fn desk(web: &str) -> Desk {
    let dir = tempfile::tempdir().expect("a directory");
    let file = |name: &str| dir.path().join(name);
    made::list(&file("list"));
    let screening = format!(
        "list = {:?}\ncleared = {:?}\naudit = {:?}",
        file("list"),
        file("cleared.jsonl"),
        file("audit.jsonl")
    );
    let served = Served::start(env!("CARGO_BIN_EXE_agent-under-test"), dir.path(), &screening, web);
    let mut browser = Browser::start();
    browser.size(1200, 900);
    browser.scheme("light");
    browser.open(&format!("http://{}/", served.address));
    Desk { browser, served, dir }
}

impl Desk {
    fn ask(&mut self, name: &str) -> String {
        self.browser.fill("#name", name);
        self.browser.enter();
        self.browser.text()
    }

    fn keep(&mut self, name: &str) {
        let Some(dir) = std::env::var_os("GAIT_PICTURES") else { return };
        let picture = self.browser.picture();
        let bytes =
            base64::Engine::decode(&base64::engine::general_purpose::STANDARD, picture).expect("base64");
        std::fs::write(Path::new(&dir).join(format!("{name}.png")), bytes).expect("a picture");
    }

    /// Nothing was fetched from elsewhere, and the browser had nothing to complain of.
    fn quiet(&self) {
        assert_eq!(self.browser.complaints(), Vec::<String>::new());
        let home = format!("http://{}/", self.served.address);
        let elsewhere: Vec<_> =
            self.browser.requests().into_iter().filter(|url| !url.starts_with(&home)).collect();
        assert_eq!(elsewhere, Vec::<String>::new());
    }
}

#[test]
fn a_hit_is_shown_side_by_side_with_every_point_explained() {
    let mut desk = desk("");
    desk.keep("empty");
    let text = desk.ask(EXACT);
    for part in ["Block: ", EXACT, "made-up 100", "list of 2026-02-27", "version 7", "Points", "of 100"] {
        assert!(text.contains(part), "{part} is missing: {text}");
    }
    let points = desk.browser.eval(
        "[...document.querySelectorAll('.hit:first-of-type tbody tr:first-child td:nth-child(6)')].map(e => +e.innerText)",
    );
    let points: f64 = points.as_array().expect("points").iter().filter_map(serde_json::Value::as_f64).sum();
    let score = desk.browser.eval("+document.querySelector('.hit tfoot strong').innerText").as_f64();
    assert!((points - score.expect("a score")).abs() < 0.5, "{points} and {score:?}");
    desk.browser.click(".about summary");
    let text = desk.browser.text();
    for part in
        ["Vanya the Tester", "1961-03-24", "passport AB 123456", "MADE-UP", "There is no such person."]
    {
        assert!(text.contains(part), "{part} is missing: {text}");
    }
    desk.keep("exact");
    for (scheme, width, name) in
        [("dark", 1200, "exact-dark"), ("dark", 390, "narrow-dark"), ("light", 390, "narrow")]
    {
        desk.browser.scheme(scheme);
        desk.browser.size(width, 900);
        let wide = desk.browser.eval("document.documentElement.scrollWidth").as_f64();
        assert!(wide <= Some(f64::from(width)), "at {width} the page is {wide:?} wide");
        desk.keep(name);
    }
    desk.quiet();
}

#[test]
fn a_chinese_name_is_found_and_shown_in_every_writing() {
    let mut desk = desk("");
    let text = desk.ask("歐陽明華");
    for part in ["Block: ", "欧阳明华", "the same characters", "Han", "Pinyin", "OUYANG, Minghua"] {
        assert!(text.contains(part), "{part} is missing: {text}");
    }
    desk.keep("chinese");
    // Another character of the same sound.
    let text = desk.ask("歐陽銘華");
    for part in ["Review: ", "欧阳铭华", "ouyang minghua", "OUYANG, Minghua"] {
        assert!(text.contains(part), "{part} is missing: {text}");
    }
    desk.keep("homophone");
    desk.browser.scheme("dark");
    desk.keep("homophone-dark");
    desk.quiet();
}

#[test]
fn no_hit_and_a_mistake_are_said_plainly() {
    let mut desk = desk("");
    let text = desk.ask("Nobody Whatsoever");
    assert!(
        text.contains("Pass: Nobody Whatsoever") && text.contains("No listed identity comes near enough"),
        "{text}"
    );
    desk.keep("none");
    desk.browser.click("form.search summary");
    desk.browser.fill("#birth_date", "31.31.1999");
    desk.browser.enter();
    let text = desk.browser.text();
    assert!(text.contains("is no date of birth"), "{text}");
    let focus = desk.browser.eval("document.activeElement.id");
    assert_eq!(
        (focus.as_str(), desk.browser.eval("document.getElementById('name').value").as_str()),
        (Some("birth_date"), Some("Nobody Whatsoever"))
    );
    desk.keep("mistake");
    // The audit log can no longer be written: no answer is given.
    let audit = desk.dir.path().join("audit.jsonl");
    std::fs::remove_file(&audit).expect("a log");
    std::fs::create_dir(&audit).expect("a directory");
    let home = format!("http://{}/", desk.served.address);
    desk.browser.open(&home);
    let text = desk.ask(EXACT);
    assert!(text.contains("No answer") && !text.contains("made-up 100"), "{text}");
    desk.keep("failure");
}

#[test]
fn a_person_clears_a_match_for_one_caller() {
    let mut desk = desk("");
    desk.browser.click("form.search summary");
    desk.browser.fill("#caller", "203.0.113.9");
    desk.ask(EXACT);
    desk.browser.click(".clear summary");
    desk.browser.fill(".clear input[name=by]", "Ann");
    desk.browser.fill(".clear input[name=note]", "born in another century");
    desk.keep("clearing");
    desk.browser.follow(".clear button");
    let text = desk.browser.text();
    for part in
        ["Pass: ", "is cleared for 203.0.113.9", "Cleared before", "by Ann", "born in another century"]
    {
        assert!(text.contains(part), "{part} is missing: {text}");
    }
    desk.keep("cleared");
    desk.browser.fill("#caller", "203.0.113.10");
    let text = desk.ask(EXACT);
    assert!(text.contains("Block: "), "another caller is not cleared: {text}");
    desk.quiet();
}

#[test]
fn it_works_by_keyboard_and_without_scripts() {
    let mut desk = desk("");
    desk.ask(EXACT);
    desk.browser.press("/");
    assert_eq!(desk.browser.eval("document.activeElement.id"), "name");
    desk.browser.press("Escape");
    desk.browser.press("j");
    assert_eq!(desk.browser.eval("document.activeElement.id"), "hit-1");
    desk.quiet();
    desk.browser.scripts(false);
    let home = format!("http://{}/screen", desk.served.address);
    desk.browser.open(&home);
    desk.browser.scripts(true);
    let text = desk.ask(EXACT);
    assert!(text.contains("Block: "), "{text}");
}

#[test]
fn what_was_typed_never_comes_to_life() {
    let mut desk = desk("");
    let text = desk.ask(HOSTILE);
    assert!(text.contains("<script>"), "it is shown as text: {text}");
    assert_eq!(desk.browser.eval("document.querySelectorAll('main script, main img').length"), 0);
    desk.quiet();
}

#[test]
fn a_token_is_asked_for_once() {
    use std::os::unix::fs::PermissionsExt as _;
    let dir = tempfile::tempdir().expect("a directory");
    let token = dir.path().join("token");
    std::fs::write(&token, "0123456789abcdef-secret\n").expect("a file");
    std::fs::set_permissions(&token, std::fs::Permissions::from_mode(0o600)).expect("permissions");
    let mut desk = desk(&format!("token_file = {token:?}"));
    assert!(desk.browser.text().contains("Log in"));
    desk.keep("login");
    desk.browser.fill("#token", "wrong-wrong-wrong-wrong");
    desk.browser.enter();
    assert!(desk.browser.text().contains("This is not the token of this agent."));
    desk.browser.fill("#token", "0123456789abcdef-secret");
    desk.browser.enter();
    assert!(desk.browser.text().contains("Is this name on a list?"));
    assert_eq!(desk.browser.eval("document.cookie"), "", "no script reads the cookie");
    let text = desk.ask(EXACT);
    assert!(text.contains("Block: "), "{text}");
}

/// Another site's page must not be able to ask, whatever it tries.
#[test]
fn another_site_gets_nothing() {
    let mut desk = desk("");
    let (port, page) = (desk.served.address.port(), desk.dir.path().join("evil.html"));
    std::fs::write(
        &page,
        format!(
            r#"<!DOCTYPE html><form id=f method=post action="http://127.0.0.1:{port}/screen"><input name=name value="{EXACT}"></form>
               <form id=g method=get action="http://127.0.0.1:{port}/screen"></form>"#
        ),
    )
    .expect("a file");
    for form in ["f", "g"] {
        desk.browser.open(&format!("file://{}", page.display()));
        desk.browser.eval(&format!("setTimeout(() => document.getElementById('{form}').submit(), 50); 0"));
        let refused = (0..100).any(|_| {
            std::thread::sleep(std::time::Duration::from_millis(100));
            desk.browser.text().contains("comes from another site")
        });
        assert!(refused, "{}", desk.browser.text());
    }
    let asked = std::fs::read_to_string(desk.dir.path().join("audit.jsonl")).unwrap_or_default();
    assert_eq!(asked, "", "nothing was looked up");
}
