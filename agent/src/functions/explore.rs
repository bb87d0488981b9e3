//! `functions`: what a file offers to follow, and why not the rest.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use serde_json::{Value, json};

use super::pattern::Pattern;
use super::process::Processes;
use super::select::{Contents, is_wanted};
use super::spec::Type;
use super::symbols::{Refusal, Symbolized};
use super::target::Probes;
use super::usdt::{Place, Probe};

/// Names suggested where none matches.
const SUGGESTIONS: usize = 5;
/// Names that are compared for suggestions, and characters of each.
const COMPARED: (usize, usize) = (20_000, 100);

/// What matches in a file.
#[derive(Debug)]
pub struct Explored {
    file: PathBuf,
    glob: Pattern,
    contents: Contents,
    functions: Vec<(Symbolized, Option<Refusal>)>,
    probes: Vec<Probe>,
}

/// Looks for functions and USDT probes whose name matches. `binary` is a path, the name of a process that runs, or that
/// of a program on PATH.
///
/// # Errors
/// When there is no such file, or it cannot be read.
pub fn explore(binary: &str, glob: &Pattern) -> Result<Explored> {
    let (path, name, root) = find(binary)?;
    let contents = Contents::read(&path, &name, &root)
        .with_context(|| format!("failed to read the functions of {}", path.display()))?;
    let wanted = Probes::Symbols { include: vec![glob.clone()], exclude: Vec::new() };
    let functions = contents.functions().iter().filter(|function| is_wanted(function, &wanted));
    let functions = functions.map(|function| (function.clone(), contents.refusal(function))).collect();
    let probes = contents.probes().iter().filter(|probe| {
        glob.matches(&format!("{}:{}", probe.provider, probe.name)) || glob.matches(&probe.name)
    });
    Ok(Explored { file: name, glob: glob.clone(), functions, probes: probes.cloned().collect(), contents })
}

/// Where a file is reached, what it is called, and the root it belongs to.
fn find(binary: &str) -> Result<(PathBuf, PathBuf, PathBuf)> {
    let root = PathBuf::from("/");
    if binary.contains('/') {
        let path = Path::new(binary);
        let real = path.canonicalize().with_context(|| format!("failed to find {binary}"))?;
        return Ok((real.clone(), real, root));
    }
    let mut processes = Processes::new();
    processes.look();
    let named =
        |name: &str, path: &Path| name == binary || path.file_name().is_some_and(|name| name == binary);
    if let Some(process) = processes.all().find(|process| named(&process.comm, &process.path)) {
        return Ok((processes.reach(process), process.path.clone(), processes.root(process)));
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found =
        std::env::split_paths(&path).map(|directory| directory.join(binary)).find(|path| path.is_file());
    match found.and_then(|path| path.canonicalize().ok()) {
        Some(path) => Ok((path.clone(), path, root)),
        None => bail!("no process {binary:?} runs and no such program is on PATH; give the file's path"),
    }
}

impl Explored {
    /// Whether anything matches.
    pub fn any(&self) -> bool {
        !self.functions.is_empty() || !self.probes.is_empty()
    }

    /// The answer for people.
    pub fn text(&self) -> String {
        let mut text = String::new();
        // Writing to a String cannot fail.
        let _ = self.write(&mut text);
        text
    }

    fn write(&self, text: &mut String) -> std::fmt::Result {
        let file = self.file.display();
        let imported = |(_, refusal): &(_, Option<Refusal>)| *refusal == Some(Refusal::Imported);
        if self.probes.is_empty() && self.functions.iter().all(imported) {
            return writeln!(text, "{file}: {}", self.nothing());
        }
        let (can, cannot): (Vec<_>, Vec<_>) =
            self.functions.iter().partition(|(_, refusal)| refusal.is_none());
        if !self.functions.is_empty() {
            writeln!(
                text,
                "{file}: {} of {} functions match, {} can be followed; their returns are seen {}",
                self.functions.len(),
                self.contents.functions().len(),
                can.len(),
                match self.contents.unwinds() {
                    true => "at their return instructions, since exceptions may pass through them",
                    false => "by the kernel's return probe",
                }
            )?;
        }
        if !can.is_empty() {
            writeln!(text, "\n    offset     size  from            function")?;
        }
        for (function, _) in can {
            let offset = self.contents.offset(function.address).unwrap_or(0);
            let (size, from) = (function.size, function.origin.label());
            writeln!(text, "{offset:#10x}  {size:7}  {from:<14}  {}", function.readable)?;
        }
        if !cannot.is_empty() {
            writeln!(text, "\nnot to be followed:")?;
        }
        for (function, refusal) in cannot {
            let reason = refusal.as_ref().map(ToString::to_string).unwrap_or_default();
            writeln!(text, "  {}: {reason}", function.readable)?;
        }
        if !self.probes.is_empty() {
            writeln!(text, "\nUSDT probes:\n    offset  semaphore  arguments          probe")?;
        }
        for probe in &self.probes {
            let offset = self.contents.offset(probe.address).unwrap_or(0);
            let semaphore = if probe.semaphore.is_some() { "yes" } else { "no" };
            let arguments = match &probe.places {
                Ok(places) => forms(places).join(" "),
                Err(_) => "?".to_owned(),
            };
            writeln!(
                text,
                "{offset:#10x}  {semaphore:<9}  {arguments:<17}  {}:{}",
                probe.provider, probe.name
            )?;
            if let Err(error) = &probe.places {
                writeln!(text, "            {error}")?;
            }
        }
        Ok(())
    }

    /// Why nothing matches, and what might be meant.
    fn nothing(&self) -> String {
        let functions = self.contents.functions();
        let own = functions.iter().filter(|function| function.refusal != Some(Refusal::Imported)).count();
        if own == 0 {
            return match self.contents.build_id() {
                Some(id) => format!(
                    "it is stripped, and there is no debug file for build id {id} in /usr/lib/debug; install the \
                     package with its debug symbols (nginx-dbgsym for nginx on Debian)"
                ),
                None => "it is stripped, has no build id, and names no debug file".to_owned(),
            };
        }
        let wanted: String = self.glob.to_string().replace(['*', '?'], "");
        let short = |name: &str| name.chars().take(COMPARED.1).collect::<String>();
        let mut near: Vec<(usize, &str)> = functions
            .iter()
            .take(COMPARED.0)
            .map(|function| {
                (strsim::damerau_levenshtein(&wanted, &short(&function.readable)), &*function.readable)
            })
            .collect();
        near.sort_unstable();
        near.dedup();
        let near: Vec<&str> = near.into_iter().take(SUGGESTIONS).map(|(_, name)| name).collect();
        let probes = self.contents.probes().len();
        format!(
            "none of its {} functions and {probes} USDT probes matches {}; near it are {}",
            functions.len(),
            self.glob,
            near.join(", ")
        )
    }

    /// The answer for programs: one JSON object, with a line end.
    ///
    /// # Errors
    /// When it cannot be rendered, which would be a defect.
    pub fn json(&self) -> Result<String> {
        let functions: Vec<Value> = self
            .functions
            .iter()
            .map(|(function, refusal)| {
                json!({
                    "name": function.readable,
                    "symbol": function.raw,
                    "offset": self.contents.offset(function.address),
                    "size": function.size,
                    "from": function.origin.label(),
                    "refused": refusal.as_ref().map(ToString::to_string),
                })
            })
            .collect();
        let probes: Vec<Value> = self
            .probes
            .iter()
            .map(|probe| {
                json!({
                    "provider": probe.provider,
                    "name": probe.name,
                    "offset": self.contents.offset(probe.address),
                    "semaphore": probe.semaphore.is_some(),
                    "arguments": probe.places.as_ref().ok().map(|places| forms(places)),
                    "refused": probe.places.as_ref().err().map(ToString::to_string),
                })
            })
            .collect();
        let answer = json!({
            "file": self.file,
            "return_instructions": self.contents.unwinds(),
            "functions": functions,
            "probes": probes,
        });
        Ok(serde_json::to_string(&answer).context("failed to render the answer")? + "\n")
    }
}

/// The type of each argument of a probe, as `values` of the configuration has it. One of 64 bits may be the address of a string.
fn forms(places: &[Place]) -> Vec<String> {
    let form = |place: &Place| Type { bytes: place.bytes, signed: place.signed }.to_string();
    places.iter().map(form).collect()
}
