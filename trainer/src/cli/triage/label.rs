//! `gait-trainer triage label`.

use std::path::PathBuf;

use anyhow::{Context, Result, ensure};
use clap::{ArgGroup, Args};
use ipnet::IpNet;

use super::super::{note, print};
use super::SuricataArgs;
use crate::triage::label::{Options, Outcome, label};
use crate::triage::labels::Words;
use crate::triage::learn;
use crate::triage::logs::{Counts, Filter};
use crate::triage::pair::{Capture, Pair, Refused};
use crate::triage::report::{self, Names};
use crate::triage::score::Score;
use crate::triage::suricata::Suricata;
use crate::triage::truth::Truth;

/// Contradictions that are named on the terminal.
const MAX_SHOWN: usize = 5;

/// Raise alerts by a strict and a loose rule set, label them, learn from them, and report.
///
/// Suricata runs twice over the capture, or two logs that it wrote before are read. What people say of strict alerts is copied to
/// equal ones of the loose log; strict alerts of which nobody says anything are taken for real. What only the loose rules raised
/// is mostly unknown: a random part is proposed for review, and what was reviewed says how wrong it is to call the rest
/// false alarms. The directory gets strict.jsonl, loose.jsonl, labels.csv, review.csv, review.bulk.ndjson, report.html and
/// model.gait.
#[derive(Debug, Args)]
#[command(group = ArgGroup::new("source").required(true).args(["pcap", "strict_eve"]))]
#[command(after_help = "Examples:
  gait-trainer triage label --pcap http.pcap.gz --strict strict.rules --loose loose.rules --labels known.csv --out triage
  gait-trainer triage label --strict-eve strict.jsonl --loose-eve loose.jsonl.gz --labels review.csv --out triage
  gait-trainer triage label --strict-eve s.jsonl --loose-eve l.jsonl --labels feedback.jsonl --onto shop.gait --out triage")]
pub(super) struct LabelArgs {
    /// Packets: pcap or pcapng; plain, gzip or zstd
    #[arg(long, value_name = "FILE", requires = "strict", requires = "loose", conflicts_with = "strict_eve")]
    pcap: Option<PathBuf>,
    /// The strict rules
    #[arg(long, value_name = "RULES")]
    strict: Option<PathBuf>,
    /// The loose rules (`gait-trainer triage loosen` makes them); with logs, only the model's note of its rules
    #[arg(long, value_name = "RULES")]
    loose: Option<PathBuf>,
    /// The log of the strict rules, in place of packets: eve.json; plain, gzip or zstd
    #[arg(long, value_name = "FILE", requires = "loose_eve")]
    strict_eve: Option<PathBuf>,
    /// The log of the loose rules over the same packets
    #[arg(long, value_name = "FILE", requires = "strict_eve")]
    loose_eve: Option<PathBuf>,
    /// The directory to write to
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Known alerts (may be repeated): CSV of `sid,label` or `key,label` (`real` or `false_alarm`), Elasticsearch documents
    /// with `gait.label`, or the lines of `gait-agent feedback`
    #[arg(long, value_name = "FILE")]
    labels: Vec<PathBuf>,
    /// Alerts to propose for review
    #[arg(long, value_name = "N", default_value_t = 200)]
    review: usize,
    /// Keep what this model knows otherwise, and give it the triage
    #[arg(long, value_name = "MODEL")]
    onto: Option<PathBuf>,
    /// Leave out alerts from or to these addresses (may be repeated)
    #[arg(long, value_name = "NET", value_parser = net)]
    exclude_net: Vec<IpNet>,
    /// Score seed rule and model by a truth (JSON lines of src_ip, src_port, label), which nothing is learned from
    #[arg(long, value_name = "FILE")]
    score_with: Option<PathBuf>,
    /// Share of the alerts called real that may be none
    #[arg(long, value_name = "SHARE", default_value_t = learn::Options::default().real_errors)]
    real_errors: f64,
    /// Share of the alerts called a false alarm that may be real
    #[arg(long, value_name = "SHARE", default_value_t = learn::Options::default().false_alarm_errors)]
    false_alarm_errors: f64,
    /// Alerts learned from, at most: of more, a share of the connections is taken
    #[arg(long, value_name = "N", default_value_t = learn::Options::default().max_alerts)]
    max_alerts: usize,
    /// Seed of what is drawn at random; the same data and seed give the same files
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// What to do with loose rules that Suricata refuses
    #[arg(long, value_enum, default_value_t)]
    refused: Refused,
    /// Use a capture that is cut short as far as it is whole
    #[arg(long)]
    allow_cut: bool,
    /// What a packed capture may unpack to, in GiB
    #[arg(long, value_name = "GIB", default_value_t = 16)]
    max_unpacked: u64,
    /// Share of malformed lines above which reading a log fails, 0 to 1
    #[arg(long, value_name = "SHARE", default_value_t = Filter::default().max_malformed)]
    max_malformed: f64,
    /// Index that the documents for Elasticsearch name
    #[arg(long, value_name = "NAME", default_value = "gait-triage")]
    index: String,
    /// Print what was found as one JSON object
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    suricata: SuricataArgs,
}

/// A network, or a single address.
fn net(text: &str) -> Result<IpNet, String> {
    let address = || text.parse::<std::net::IpAddr>().map(IpNet::from);
    text.parse()
        .or_else(|_| address())
        .map_err(|_| "expected a network such as 192.0.2.0/24, or an address".to_owned())
}

impl LabelArgs {
    pub(super) fn run(self) -> Result<()> {
        std::fs::create_dir_all(&self.out)
            .with_context(|| format!("failed to create {}", self.out.display()))?;
        // What is asked for is looked at before Suricata runs for minutes.
        self.spare_labels()?;
        let words = Words::read(&self.labels)?;
        let truth = self.score_with.as_deref().map(Truth::read).transpose()?;
        let base = self.onto.as_deref().map(crate::model::load_data).transpose()?;
        let options = Options {
            review: self.review,
            seed: self.seed,
            index: self.index.clone(),
            learn: learn::Options {
                real_errors: self.real_errors,
                false_alarm_errors: self.false_alarm_errors,
                max_alerts: self.max_alerts,
                ..learn::Options::default()
            },
        };
        let pair = self.pair()?;
        raised(&pair).iter().for_each(|line| note(line));
        let outcome = label(pair, words, truth.as_ref(), &self.out, &options)?;
        let fingerprint = crate::model::save(&self.out.join("model.gait"), &outcome.model(base, self.seed))?;
        let names =
            Names { dir: self.out.display().to_string(), fingerprint: fingerprint.clone(), seed: self.seed };
        report::save(&self.out.join("report.html"), &outcome, &names)?;
        said(&outcome).iter().for_each(|line| note(line));
        note(&format!("wrote {} ({fingerprint}); see report.html there", self.out.display()));
        if self.json {
            print(&mut std::io::stdout().lock(), &serde_json::to_string(&outcome.summary())?)?;
        }
        Ok(())
    }

    /// Nobody's work is written over.
    fn spare_labels(&self) -> Result<()> {
        let written = ["labels.csv", "review.csv", "review.bulk.ndjson"]
            .map(|name| self.out.join(name).canonicalize().ok());
        for file in &self.labels {
            let here = file.canonicalize().ok();
            ensure!(
                here.is_none() || !written.contains(&here),
                "the labels {} would be written over: choose another --out, or give the labels another name",
                file.display()
            );
        }
        Ok(())
    }

    fn pair(&self) -> Result<Pair> {
        let filter = Filter { exclude: self.exclude_net.clone(), max_malformed: self.max_malformed };
        if let (Some(strict), Some(loose)) = (&self.strict_eve, &self.loose_eve) {
            return Pair::read(strict, loose, self.loose.as_deref(), &filter);
        }
        let named = |path: &Option<PathBuf>, what| path.clone().with_context(|| format!("name {what}"));
        let capture = Capture {
            pcap: named(&self.pcap, "a capture with --pcap")?,
            strict: named(&self.strict, "the strict rules with --strict")?,
            loose: named(&self.loose, "the loose rules with --loose")?,
            suricata: Suricata::find(self.suricata.suricata.as_deref(), &self.suricata.home_net)?,
            max_unpacked: self.max_unpacked.saturating_mul(1 << 30),
            allow_cut: self.allow_cut,
            refused: self.refused,
        };
        capture.run(&self.out, &filter)
    }
}

/// What the terminal is told of the two logs.
fn raised(pair: &Pair) -> Vec<String> {
    let about = &pair.about;
    let mut lines = Vec::new();
    if let Some(version) = &about.suricata {
        lines.push(format!("Suricata {version} decoded all {} packets in both runs", about.packets));
    }
    lines.extend(
        about.cut.iter().map(|cut| format!("the capture is cut short: {cut}; what is whole was used")),
    );
    lines.extend(
        about.rules.iter().map(|set| format!("{}: {} rules, {} loaded", set.file, set.rules, set.loaded)),
    );
    for rule in &about.stand_ins {
        lines.push(format!(
            "the loose rule {} (line {}) is refused, the strict one ran in its place: {}",
            rule.sid, rule.line, rule.words
        ));
    }
    if about.overflown > 0 {
        lines.push(format!(
            "{} alerts were lost: single packets raised more than Suricata keeps",
            about.overflown
        ));
    }
    lines.extend([&pair.strict.counts, &pair.loose.counts].into_iter().map(read));
    lines
}

/// What the terminal is told of the labels and the model.
fn said(outcome: &Outcome) -> Vec<String> {
    let mut lines = Vec::new();
    let found = &outcome.join.found;
    lines.push(format!(
        "strict alerts: {}; in the loose log: {} equal, {} at another packet of their transaction, {} not; only loose: {}",
        found.strict,
        found.equal,
        found.moved,
        found.lost(),
        found.loose_only
    ));
    for (reason, missing) in &found.missing {
        lines.push(format!(
            "{} strict alerts are missing, such as {}: {}",
            missing.count,
            missing.examples[0],
            reason.words()
        ));
    }
    labels(outcome, &mut lines);
    noise(outcome, &mut lines);
    lines
}

fn read(counts: &Counts) -> String {
    let mut text = format!("{}: {} alerts about HTTP in {} lines", counts.file, counts.alerts, counts.lines);
    let others: u64 = counts.other.values().sum();
    for (number, what) in [
        (counts.no_http, "about something else"),
        (counts.excluded, "from or to excluded addresses"),
        (counts.repeated, "repeated"),
        (others, "other events"),
        (counts.faults(), "malformed"),
    ] {
        if number > 0 {
            text.push_str(&format!("; {what}: {number}"));
        }
    }
    for sample in &counts.samples {
        text.push_str(&format!("\n  {sample}"));
    }
    text
}

fn labels(outcome: &Outcome, lines: &mut Vec<String>) {
    let (read, applied) = (&outcome.words.read, &outcome.labelling.applied);
    let sources: Vec<String> =
        applied.sources.iter().map(|(source, number)| format!("{} {number}", source.as_str())).collect();
    lines.push(format!("labels: {}", sources.join(", ")));
    if read.contradictions > 0 {
        lines.push(format!("{} labels contradict earlier ones:", read.contradictions));
        lines.extend(read.contradicting.iter().take(MAX_SHOWN).map(|text| format!("  {text}")));
    }
    if read.unfinished > 0 {
        lines.push(format!("{} lines of feedback were not finished and are passed over:", read.unfinished));
        lines.extend(read.unfinished_at.iter().take(MAX_SHOWN).map(|text| format!("  {text}")));
    }
    for (number, what) in [
        (applied.unknown_alerts, "labels are about alerts that are in neither log"),
        (applied.unknown_rules.len() as u64, "labels are about rules without a strict alert"),
        (read.blank, "rows or documents have no label yet"),
    ] {
        if number > 0 {
            lines.push(format!("{number} {what}"));
        }
    }
}

fn noise(outcome: &Outcome, lines: &mut Vec<String>) {
    let estimate = &outcome.estimate;
    match (&estimate.noise, &estimate.seed_recall, &estimate.seed_false_alarm_precision) {
        (Some(noise), Some(recall), Some(precision)) => lines.push(format!(
            "of the alerts that only the loose rules raised {:.3} are real ({:.3} to {:.3}; {} of {} reviewed): the seed rule alone \
             would have recall {:.3} and be right in {:.3} of its false alarms",
            noise.share,
            noise.interval.0,
            noise.interval.1,
            estimate.reviewed,
            estimate.loose_only,
            recall.share,
            precision.share
        )),
        _ => lines.push(format!(
            "nobody has looked at an alert that only the loose rules raised: {}; look at review.csv and give it back with --labels",
            if outcome.seed_rule {
                "the model takes them all for false alarms, as the seed rule does"
            } else {
                "nothing was learned from them"
            }
        )),
    }
    let learned = &outcome.learned;
    lines.push(format!("learned by {}", learned.method));
    let whose = if outcome.seed_rule { "the seed rule's labels" } else { "the labels" };
    lines.push(format!("  held out, by {whose}: {}", scored(&learned.held_out)));
    if let Some(truth) = &outcome.scored {
        lines.push(format!("  seed rule, by the truth: {}", scored(&truth.seed_rule)));
        for (what, score) in [("connections held out", &truth.by_flow), ("later alerts", &truth.by_time)] {
            match score {
                Some(score) => lines.push(format!("  {what}, by the truth: {}", scored(score))),
                None => lines.push(format!("  {what}: too few labels to hold any out")),
            }
        }
    }
    lines.push(format!("{} alerts are proposed for review", outcome.proposed.len()));
}

fn scored(score: &Score) -> String {
    format!(
        "recall {:.3}, precision {:.3}, false-alarm precision {:.3}, something said of {:.3}",
        score.recall(),
        score.precision(),
        score.false_alarm_precision(),
        score.coverage()
    )
}
