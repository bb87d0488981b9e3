//! Chromium driven over its DevTools protocol, through a pipe: what a test clicks, types, reads and takes a picture of.

use std::collections::VecDeque;
use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;

/// How long the browser may take for anything.
const PATIENCE: Duration = Duration::from_secs(60);

/// A browser with one page.
pub(crate) struct Browser {
    process: Child,
    input: Option<ChildStdin>,
    messages: Receiver<Value>,
    /// Messages that nobody has waited for yet.
    events: VecDeque<Value>,
    session: Option<String>,
    last: u64,
    _profile: TempDir,
}

impl Browser {
    /// Starts Chromium without a window. No name is resolved, so that nothing leaves this host.
    pub(crate) fn start() -> Self {
        let profile = tempfile::tempdir().expect("a directory");
        // The browser wants the pipe's ends as descriptors 3 and 4, which a shell can give it.
        let script = r#"exec chromium --headless --no-sandbox --disable-gpu --no-first-run \
            --disable-background-networking --remote-debugging-pipe \
            '--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1' --user-data-dir="$0" \
            3<&0 4>&1 </dev/null >/dev/null 2>&1"#;
        let mut process = Command::new("sh")
            .args(["-c", script])
            .arg(profile.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("chromium starts; `cargo xtask test` installs it");
        let output = process.stdout.take().expect("a pipe");
        let (sender, messages) = channel();
        std::thread::spawn(move || {
            for message in BufReader::new(output).split(0) {
                let Ok(Ok(message)) = message.map(|bytes| serde_json::from_slice(&bytes)) else { return };
                if sender.send(message).is_err() {
                    return;
                }
            }
        });
        let input = process.stdin.take();
        let mut browser = Self {
            process,
            input,
            messages,
            events: VecDeque::new(),
            session: None,
            last: 0,
            _profile: profile,
        };
        let target = browser.call("Target.createTarget", json!({"url": "about:blank"}));
        let attached = json!({"targetId": target["targetId"], "flatten": true});
        let session = browser.call("Target.attachToTarget", attached);
        browser.session = session["sessionId"].as_str().map(str::to_owned);
        browser.call("Emulation.setScrollbarsHidden", json!({"hidden": true}));
        for domain in ["Page", "Runtime", "Log", "Network"] {
            browser.call(&format!("{domain}.enable"), json!({}));
        }
        browser
    }

    fn call(&mut self, method: &str, params: Value) -> Value {
        self.last += 1;
        let mut message = json!({"id": self.last, "method": method, "params": params});
        if let Some(session) = &self.session {
            message["sessionId"] = json!(session);
        }
        let input = self.input.as_mut().expect("the browser runs");
        input.write_all(message.to_string().as_bytes()).expect("the browser listens");
        input.write_all(&[0]).expect("the browser listens");
        loop {
            let answer = self.messages.recv_timeout(PATIENCE).expect("the browser answers");
            if answer["id"] == self.last {
                assert!(answer["error"].is_null(), "{method}: {}", answer["error"]);
                return answer["result"].clone();
            }
            self.events.push_back(answer);
        }
    }

    fn wait(&mut self, event: &str) {
        if let Some(at) = self.events.iter().position(|message| message["method"] == event) {
            self.events.remove(at);
            return;
        }
        loop {
            let message = self.messages.recv_timeout(PATIENCE).expect("the browser says what happens");
            if message["method"] == event {
                return;
            }
            self.events.push_back(message);
        }
    }

    /// Does what loads another page, and waits for that.
    fn loading(&mut self, act: impl FnOnce(&mut Self)) {
        self.events.retain(|message| message["method"] != "Page.loadEventFired");
        act(self);
        self.wait("Page.loadEventFired");
    }

    pub(crate) fn open(&mut self, url: &str) {
        self.loading(|browser| {
            browser.call("Page.navigate", json!({"url": url}));
        });
    }

    /// The value of an expression of JavaScript.
    pub(crate) fn eval(&mut self, expression: &str) -> Value {
        let params = json!({"expression": expression, "returnByValue": true, "awaitPromise": true});
        let result = self.call("Runtime.evaluate", params);
        assert!(result["exceptionDetails"].is_null(), "{expression}: {}", result["exceptionDetails"]);
        result["result"]["value"].clone()
    }

    /// The text of the page as a person reads it.
    pub(crate) fn text(&mut self) -> String {
        self.eval("document.body?.innerText ?? ''").as_str().unwrap_or_default().to_owned()
    }

    /// Types into a field after it was clicked.
    pub(crate) fn fill(&mut self, selector: &str, text: &str) {
        self.eval(&format!("document.querySelector({}).select()", json!(selector)));
        self.eval(&format!("document.querySelector({}).focus()", json!(selector)));
        self.call("Input.insertText", json!({"text": text}));
    }

    /// Presses a key; one that leads to another page is waited for by [`enter`](Self::enter).
    pub(crate) fn press(&mut self, key: &str) {
        for kind in ["keyDown", "keyUp"] {
            let mut params = json!({"type": kind, "key": key});
            if key.chars().count() == 1 && kind == "keyDown" {
                params["text"] = json!(key);
            }
            self.call("Input.dispatchKeyEvent", params);
        }
    }

    /// Sends the form that is typed into.
    pub(crate) fn enter(&mut self) {
        self.loading(|browser| {
            let params = json!({"type": "keyDown", "key": "Enter", "code": "Enter", "text": "\r",
                                "windowsVirtualKeyCode": 13});
            browser.call("Input.dispatchKeyEvent", params);
        });
    }

    /// Clicks what leads to another page, with the mouse.
    pub(crate) fn follow(&mut self, selector: &str) {
        self.loading(|browser| browser.click(selector));
    }

    /// Clicks, with the mouse.
    pub(crate) fn click(&mut self, selector: &str) {
        let place = self.eval(&format!(
            "(() => {{ const e = document.querySelector({}); e.scrollIntoView({{block: 'center'}});
               const r = e.getBoundingClientRect(); return [r.x + Math.min(r.width, 60) / 2, r.y + r.height / 2] }})()",
            json!(selector)
        ));
        for kind in ["mousePressed", "mouseReleased"] {
            let params =
                json!({"type": kind, "x": place[0], "y": place[1], "button": "left", "clickCount": 1});
            self.call("Input.dispatchMouseEvent", params);
        }
    }

    pub(crate) fn size(&mut self, width: u32, height: u32) {
        let params = json!({"width": width, "height": height, "deviceScaleFactor": 1, "mobile": false});
        self.call("Emulation.setDeviceMetricsOverride", params);
    }

    pub(crate) fn scheme(&mut self, scheme: &str) {
        let features = json!([{"name": "prefers-color-scheme", "value": scheme}]);
        self.call("Emulation.setEmulatedMedia", json!({"features": features}));
    }

    /// Lets pages run scripts or not.
    pub(crate) fn scripts(&mut self, run: bool) {
        self.call("Emulation.setScriptExecutionDisabled", json!({"value": !run}));
    }

    /// A picture of the whole page, as PNG in base64.
    pub(crate) fn picture(&mut self) -> String {
        let params = json!({"format": "png", "captureBeyondViewport": true});
        self.call("Page.captureScreenshot", params)["data"].as_str().unwrap_or_default().to_owned()
    }

    /// What pages wrote to the console, and what the browser had to say against them.
    pub(crate) fn complaints(&self) -> Vec<String> {
        let of = ["Runtime.consoleAPICalled", "Runtime.exceptionThrown", "Log.entryAdded"];
        let is = |message: &&Value| of.iter().any(|method| message["method"] == *method);
        self.events.iter().filter(is).map(|message| message["params"].to_string()).collect()
    }

    /// What pages asked for.
    pub(crate) fn requests(&self) -> Vec<String> {
        let sent = self.events.iter().filter(|message| message["method"] == "Network.requestWillBeSent");
        sent.filter_map(|message| message["params"]["request"]["url"].as_str()).map(str::to_owned).collect()
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // At the end of the pipe it closes by itself.
        drop(self.input.take());
        let _ = self.process.wait();
    }
}
