//! What the rounds add up to: medians, ratios and cost per request.

use std::fmt;
use std::time::Duration;

use anyhow::{Context as _, Result};
use serde_json::{Value, json};

/// What ran beside nginx.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Variant {
    Nothing,
    Agent,
    Bpftrace,
}

impl Variant {
    /// All of them.
    pub(crate) const ALL: [Self; 3] = [Self::Nothing, Self::Agent, Self::Bpftrace];

    fn name(self) -> &'static str {
        match self {
            Self::Nothing => "nothing",
            Self::Agent => "gait-agent",
            Self::Bpftrace => "bpftrace",
        }
    }
}

/// One variant in one round.
#[derive(Debug, Clone)]
pub(crate) struct Sample {
    /// What ran beside nginx.
    pub(crate) variant: Variant,
    /// Requests, by nginx's own count.
    pub(crate) served: u64,
    /// How long the load lasted.
    pub(crate) time: Duration,
    /// CPU time of nginx's workers: what was added to the target.
    pub(crate) nginx_cpu: Duration,
    /// CPU time of the tool's process: what was added to the host.
    pub(crate) tool_cpu: Duration,
    /// Exchanges the tool captured.
    pub(crate) captured: u64,
    /// Exchanges the tool counted as lost.
    pub(crate) lost: u64,
}

impl Sample {
    fn rate(&self) -> f64 {
        self.served as f64 / self.time.as_secs_f64()
    }

    fn per_request(&self, time: Duration) -> f64 {
        time.as_secs_f64() * 1e6 / self.served.max(1) as f64
    }
}

impl fmt::Display for Sample {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:<10} {:>9.0} requests/s", self.variant.name(), self.rate())?;
        if self.variant != Variant::Nothing {
            write!(f, ", {} of {} captured, {} lost", self.captured, self.served, self.lost)?;
        }
        Ok(())
    }
}

/// One variant over all rounds.
struct Figures {
    variant: Variant,
    rate: f64,
    ratios: Vec<f64>,
    tool_cpu: f64,
    nginx_cpu: f64,
    served: u64,
    captured: u64,
    lost: u64,
}

/// Each round's samples stand together; ratios are taken within a round, where neighbours' noise is the same.
fn figures(samples: &[Sample]) -> Vec<Figures> {
    let rounds: Vec<&[Sample]> = samples.chunks(Variant::ALL.len()).collect();
    let of = |variant: Variant| samples.iter().filter(move |sample| sample.variant == variant);
    let figure = |variant| {
        let ratios = rounds.iter().filter_map(|round| {
            let rate = |variant| round.iter().find(|sample| sample.variant == variant).map(Sample::rate);
            Some(rate(variant)? / rate(Variant::Nothing)?)
        });
        Figures {
            variant,
            rate: median(of(variant).map(Sample::rate).collect()),
            ratios: ratios.collect(),
            tool_cpu: median(of(variant).map(|sample| sample.per_request(sample.tool_cpu)).collect()),
            nginx_cpu: median(of(variant).map(|sample| sample.per_request(sample.nginx_cpu)).collect()),
            served: of(variant).map(|sample| sample.served).sum(),
            captured: of(variant).map(|sample| sample.captured).sum(),
            lost: of(variant).map(|sample| sample.lost).sum(),
        }
    };
    Variant::ALL.into_iter().map(figure).collect()
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match values.len() {
        0 => f64::NAN,
        length if length % 2 == 1 => values[middle],
        _ => (values[middle - 1] + values[middle]) / 2.0,
    }
}

/// Prints the figures for people.
pub(crate) fn print_table(samples: &[Sample]) -> Result<()> {
    println!(
        "beside nginx   requests/s   against nothing (median, all)   tool CPU/request   nginx CPU/request   captured"
    );
    for figures in figures(samples) {
        let all = figures.ratios.iter().map(|ratio| format!("{ratio:.2}")).collect::<Vec<_>>().join(" ");
        let ratio = format!("{:.3} ({all})", median(figures.ratios.clone()));
        let captured = match figures.variant {
            Variant::Nothing => "-".to_owned(),
            _ => format!("{} of {}, {} lost", figures.captured, figures.served, figures.lost),
        };
        println!(
            "{:<12} {:>12.0}   {ratio:<29}   {:>13.2} us   {:>14.2} us   {captured}",
            figures.variant.name(),
            figures.rate,
            figures.tool_cpu,
            figures.nginx_cpu,
        );
    }
    Ok(())
}

/// Prints the figures as one JSON object.
pub(crate) fn print_json(samples: &[Sample]) -> Result<()> {
    let entry = |figures: &Figures| {
        let value = json!({
            "requests_per_s": figures.rate,
            "ratio": median(figures.ratios.clone()),
            "ratios": figures.ratios,
            "tool_cpu_us_per_request": figures.tool_cpu,
            "nginx_cpu_us_per_request": figures.nginx_cpu,
            "served": figures.served,
            "captured": figures.captured,
            "lost": figures.lost,
        });
        (figures.variant.name().to_owned(), value)
    };
    let all: serde_json::Map<String, Value> = figures(samples).iter().map(entry).collect();
    println!("{}", serde_json::to_string(&all).context("failed to encode the figures")?);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ratios_are_taken_within_a_round() {
        let sample = |variant, served| Sample {
            variant,
            served,
            time: Duration::from_secs(1),
            nginx_cpu: Duration::ZERO,
            tool_cpu: Duration::from_millis(10),
            captured: served,
            lost: 0,
        };
        // The second round ran on a machine twice as slow, in another order.
        let samples = [
            sample(Variant::Nothing, 1000),
            sample(Variant::Agent, 900),
            sample(Variant::Bpftrace, 400),
            sample(Variant::Agent, 450),
            sample(Variant::Bpftrace, 200),
            sample(Variant::Nothing, 500),
        ];
        let figures = figures(&samples);
        assert_eq!(figures[1].ratios, [0.9, 0.9]);
        assert_eq!(figures[2].ratios, [0.4, 0.4]);
        assert_eq!(figures[1].captured, 1350);
    }
}
