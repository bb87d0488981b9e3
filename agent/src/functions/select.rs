//! Selection: the places in one file where a target's calls begin and end.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use gait_common::wire::tree::function_id;

use super::elf::{ElfError, Image};
use super::exits::{self, Exits};
use super::names;
use super::pattern::Pattern;
use super::point::{Function, Kind, Naming};
use super::symbols::{Functions, Refusal, Symbolized};
use super::target::{Probes, Target};
use super::usdt::{self, Pair, Place, Probe};
use super::values::{MAX_ARGUMENTS, Taken, Value, Which};

/// Places of one USDT probe in one file: the compiler may have copied the function it is in.
const MAX_PLACES: usize = 64;

/// A place in a file, before anything is known of how the file is reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Spot {
    pub(super) offset: u64,
    pub(super) kind: Kind,
    pub(super) function: Arc<Function>,
    pub(super) semaphore: Option<u64>,
    pub(super) places: Vec<Place>,
    pub(super) values: Vec<Taken>,
}

/// What was found in a file for a target.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selection {
    /// Where to attach; of each function the exits first.
    pub(super) spots: Vec<Spot>,
    /// Functions that are followed.
    pub followed: Vec<String>,
    /// Functions that match but cannot be followed, with the reasons. Aliases are not among them.
    pub refused: Vec<(String, Refusal)>,
    /// Values that are taken, each with the function that it is of.
    pub values: Vec<(String, Taken)>,
    /// Values that are asked for and cannot be taken, with the reasons.
    pub values_refused: Vec<String>,
    /// Functions that are held to the target's rule of success.
    pub ruled: usize,
    /// Functions that match beyond the target's bound.
    pub beyond: usize,
    /// Why nothing was found, or what is wrong with what was.
    pub trouble: Option<String>,
}

/// A file's functions and probes: what [`select`] chooses from. Each is read when first needed.
#[derive(Debug)]
pub struct Contents {
    /// Its name in the names of functions.
    binary: String,
    image: Image,
    functions: Functions,
    /// Where functions begin that may be jumped to.
    starts: BTreeSet<u64>,
    /// The parts of functions that stand elsewhere: address and size.
    parts: BTreeMap<u64, u64>,
    probes: Vec<Probe>,
}

impl Contents {
    /// Reads a file. `path` is where it is reached, `name` what it is called by those who run it, `root` their root.
    ///
    /// # Errors
    /// When it is no program or library, or is malformed.
    pub fn read(path: &Path, name: &Path, root: &Path) -> Result<Self, ElfError> {
        let image = Image::open(path)?;
        let functions = super::symbols::functions(&image, path, root)?;
        let base = image.section(".stapsdt.base").map(|section| section.address);
        let notes = image.data(".note.stapsdt")?.unwrap_or_default();
        let probes = usdt::probes(&notes, base, image.machine);
        let part = |function: &&Symbolized| function.refusal == Some(Refusal::Part);
        let elsewhere =
            |function: &&Symbolized| matches!(function.refusal, Some(Refusal::Imported | Refusal::NotCode));
        let of = &functions.all;
        Ok(Self {
            binary: names::binary(name),
            parts: of.iter().filter(part).map(|function| (function.address, function.size)).collect(),
            starts: of
                .iter()
                .filter(|function| !part(function) && !elsewhere(function))
                .map(|function| function.address)
                .collect(),
            functions,
            probes,
            image,
        })
    }

    /// All functions, in order of address.
    pub fn functions(&self) -> &[Symbolized] {
        &self.functions.all
    }

    /// All USDT probes, in the order of their notes.
    pub fn probes(&self) -> &[Probe] {
        &self.probes
    }

    /// Where a function's entry, or a probe, is in the file.
    pub fn offset(&self, address: u64) -> Option<u64> {
        self.image.code_offset(address)
    }

    /// Whether returns are seen at return instructions, and not by the kernel's return probe.
    pub fn unwinds(&self) -> bool {
        self.functions.unwinds
    }

    /// The build id, in hexadecimal digits.
    pub fn build_id(&self) -> Option<String> {
        self.image.build_id().map(|id| id.iter().map(|byte| format!("{byte:02x}")).collect())
    }

    /// Whether it is a program, and no library.
    pub fn is_program(&self) -> bool {
        self.image.executable
    }

    /// Why a function cannot be followed; `None` if it can.
    pub fn refusal(&self, function: &Symbolized) -> Option<Refusal> {
        function.refusal.clone().or_else(|| self.ways_out(function).err())
    }

    /// Where the function is left; `None` where the kernel's return probe sees it.
    fn ways_out(&self, function: &Symbolized) -> Result<Option<Exits>, Refusal> {
        if !self.functions.unwinds {
            return Ok(None);
        }
        let mut exits = self.exits(function.address, function.size)?;
        // The parts that the compiler moved away return too. They are few, and hardly ever jump to further ones.
        let parts: BTreeSet<u64> =
            exits.leaps.iter().copied().filter(|address| self.parts.contains_key(address)).collect();
        for part in parts {
            let more = self.exits(part, self.parts.get(&part).copied().unwrap_or(0))?;
            exits.returns.extend(more.returns);
            // A jump back into the function is none out of it.
            let own = function.address..function.address + function.size;
            exits.tails.extend(more.tails.into_iter().filter(|at| !own.contains(at)));
        }
        Ok(Some(exits))
    }

    fn exits(&self, address: u64, size: u64) -> Result<Exits, Refusal> {
        match size {
            0 => return Err(Refusal::NoSize),
            exits::MAX_CODE.. => return Err(Refusal::Undecodable("it is too large")),
            _ => {}
        }
        let code = self.image.code(address, size).map_err(|_| Refusal::NotCode)?;
        exits::exits(&code, address, self.image.machine, &|address| self.starts.contains(&address))
            .map_err(Refusal::Undecodable)
    }
}

/// Chooses what a target asks for.
pub fn select(contents: &Contents, target: &Target) -> Selection {
    match &target.probes {
        Probes::Symbols { .. } => symbols(contents, target),
        Probes::Usdt(pair) => probes(contents, target, pair),
    }
}

/// Whether a function is among those that the target names.
pub(super) fn is_wanted(function: &Symbolized, probes: &Probes) -> bool {
    let Probes::Symbols { include, exclude } = probes else { return false };
    any_matches(include, function) && !any_matches(exclude, function)
}

/// All that a function is called.
fn called(function: &Symbolized) -> [&str; 3] {
    [&function.raw, &function.readable, names::without_parameters(&function.readable)]
}

fn any_matches(globs: &[Pattern], function: &Symbolized) -> bool {
    globs.iter().any(|glob| called(function).into_iter().any(|name| glob.matches(name)))
}

fn symbols(contents: &Contents, target: &Target) -> Selection {
    let mut selection = Selection::default();
    // By name, then address: copies of one function are one function.
    let mut wanted: BTreeMap<&str, Vec<&Symbolized>> = BTreeMap::new();
    let mut seen = BTreeSet::new();
    for function in contents.functions() {
        let alias = matches!(function.refusal, Some(Refusal::Alias(_)));
        // An alias that is asked for by name stands for the code, unless another name of the code came first.
        if is_wanted(function, &target.probes) && (!alias || !seen.contains(&function.address)) {
            seen.insert(function.address);
            wanted.entry(&function.readable).or_default().push(function);
        }
    }
    for (name, copies) in wanted {
        let mut spots = Vec::new();
        let mut function = named(target, names::qualified(&contents.binary, name), Naming::Fixed);
        let ruled = target.success_functions.is_empty()
            || copies.iter().any(|copy| any_matches(&target.success_functions, copy));
        function.success = target.success.filter(|_| ruled);
        let called = Arc::new(function);
        let (values, values_refused) = values(contents, target, name, &copies);
        let mut refused = None;
        for copy in copies {
            match way(contents, copy, &called, &values) {
                Ok(more) => spots.extend(more),
                Err(refusal) => refused = Some(refusal),
            }
        }
        match refused {
            _ if !spots.is_empty() && selection.followed.len() >= target.max_functions => {
                selection.beyond += 1
            }
            _ if !spots.is_empty() => {
                selection.followed.push(called.name.clone());
                selection.spots.append(&mut spots);
                selection.ruled += usize::from(called.success.is_some());
                selection.values.extend(values.iter().map(|value| (called.name.clone(), *value)));
                selection.values_refused.extend(values_refused);
            }
            Some(refusal) => selection.refused.push((name.to_owned(), refusal)),
            None => {}
        }
    }
    if selection.followed.is_empty() && selection.refused.is_empty() {
        selection.trouble = Some(match contents.functions().len() {
            0 => "it has no symbols, and no debug file was found for it".to_owned(),
            count => format!("none of its {count} functions matches"),
        });
    }
    selection
}

/// What is taken of a function's calls, and what is asked for beyond the bound.
fn values(
    contents: &Contents,
    target: &Target,
    name: &str,
    copies: &[&Symbolized],
) -> (Vec<Taken>, Vec<String>) {
    let (mut values, mut refused): (Vec<Taken>, Vec<String>) = (Vec::new(), Vec::new());
    let of = |value: &&Value| copies.iter().any(|copy| value.is_of(&called(copy)));
    for value in target.values.iter().filter(of) {
        let taken = value.of_call(contents.image.machine);
        let arguments = values.iter().filter(|other| other.which != Which::Return).count();
        if values.iter().any(|other| other.which == taken.which) {
            refused.push(format!("{} of {name} is asked for twice; the first one counts", taken.which));
        } else if taken.which != Which::Return && arguments >= MAX_ARGUMENTS {
            refused.push(format!(
                "{} of {name} is beyond {MAX_ARGUMENTS} arguments of one function",
                taken.which
            ));
        } else {
            values.push(taken);
        }
    }
    (values, refused)
}

/// The spots of one copy of a function.
fn way(
    contents: &Contents,
    function: &Symbolized,
    called: &Arc<Function>,
    values: &[Taken],
) -> Result<Vec<Spot>, Refusal> {
    let refusal = function.refusal.clone().filter(|refusal| !matches!(refusal, Refusal::Alias(_)));
    if let Some(refusal) = refusal {
        return Err(refusal);
    }
    let offset = |address| contents.offset(address).ok_or(Refusal::NotCode);
    let spot = |kind, offset| Spot {
        offset,
        kind,
        function: Arc::clone(called),
        semaphore: None,
        places: Vec::new(),
        values: values
            .iter()
            .filter(|value| match kind {
                Kind::Enter => value.which != Which::Return,
                Kind::Return | Kind::Exit => value.which == Which::Return,
                _ => false,
            })
            .copied()
            .collect(),
    };
    let entry = offset(function.address)?;
    let mut spots = Vec::new();
    match contents.ways_out(function)? {
        None => spots.push(spot(Kind::Return, entry)),
        Some(exits) => {
            for (kind, addresses) in [(Kind::Exit, exits.returns), (Kind::Tail, exits.tails)] {
                for address in addresses {
                    spots.push(spot(kind, offset(address)?));
                }
            }
        }
    }
    spots.push(spot(Kind::Enter, entry));
    Ok(spots)
}

fn probes(contents: &Contents, target: &Target, pair: &Pair) -> Selection {
    let trouble = |text| Selection { trouble: Some(text), ..Selection::default() };
    let name = match pair.naming {
        Naming::Fixed => names::qualified(&pair.provider, pair.stem()),
        Naming::Python => format!("{}:{}", pair.provider, pair.entry),
    };
    let function = Arc::new(named(target, name, pair.naming));
    let mut selection = Selection { followed: vec![function.name.clone()], ..Selection::default() };
    for (name, kind) in [(&pair.exit, Kind::UsdtReturn), (&pair.entry, Kind::UsdtEnter)] {
        let mut found =
            contents.probes.iter().filter(|probe| probe.provider == pair.provider && probe.name == *name);
        let mut first = true;
        for probe in found.by_ref().take(MAX_PLACES) {
            first = false;
            let needed = if pair.naming == Naming::Python { 2 } else { 0 };
            let places = match &probe.places {
                Ok(places) if places.len() >= needed => places.clone(),
                Err(_) if needed == 0 => Vec::new(),
                Err(error) => {
                    return trouble(format!("its probe {}:{name} cannot be used: {error}", pair.provider));
                }
                Ok(places) => {
                    return trouble(format!(
                        "its probe {}:{name} has only {} arguments",
                        pair.provider,
                        places.len()
                    ));
                }
            };
            let semaphore = probe.semaphore.map(|address| contents.image.data_offset(address));
            let (Some(offset), Some(semaphore)) =
                (contents.offset(probe.address), semaphore.map_or(Some(None), |at| at.map(Some)))
            else {
                return trouble(format!("its probe {}:{name} is outside the file", pair.provider));
            };
            let values =
                if kind == Kind::UsdtEnter { probe_values(target, name, &places) } else { Ok(Vec::new()) };
            let values = match values {
                Ok(values) => values,
                Err(reason) => return trouble(reason),
            };
            if selection.values.is_empty() {
                let of = |name: &Option<String>| name.as_ref().unwrap_or(&function.name).clone();
                selection.values.extend(values.iter().map(|(name, value)| (of(name), *value)));
            }
            let values = values.into_iter().map(|(_, value)| value).collect();
            let function = Arc::clone(&function);
            selection.spots.push(Spot { offset, kind, function, semaphore, places, values });
        }
        if first {
            let others = contents.probes.iter().filter(|probe| probe.provider == pair.provider).count();
            return trouble(match (contents.probes.len(), others) {
                (0, _) => "it has no USDT probes; if they are in a library of the service, name it by `binary`, such as \
                           \"libpython3*\""
                    .to_owned(),
                (_, 0) => format!("it has no USDT probes of the provider {}", pair.provider),
                _ => format!("it has no USDT probe {}:{name}", pair.provider),
            });
        }
    }
    selection
}

/// What is taken of a probe's arguments, each with the function that it is of where the probe has many.
fn probe_values(
    target: &Target,
    probe: &str,
    places: &[Place],
) -> Result<Vec<(Option<String>, Taken)>, String> {
    let mut all = Vec::new();
    for value in &target.values {
        all.extend(value.of_probe(places).ok_or_else(|| {
            format!(
                "its probe {probe} has {} arguments that are understood, and no {}",
                places.len(),
                value.of
            )
        })?);
    }
    match all.len() <= MAX_ARGUMENTS {
        true => Ok(all),
        false => Err(format!("more than {MAX_ARGUMENTS} arguments of its probe {probe} are asked for")),
    }
}

fn named(target: &Target, name: String, naming: Naming) -> Function {
    let id = function_id(name.as_bytes());
    Function { target: target.index, id, name, naming, success: target.success }
}
