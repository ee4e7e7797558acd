//! The numbers as text: OpenMetrics, or Prometheus' own older format for who does not ask for that.
//!
//! A [`Registry`] of the `prometheus-client` library holds one collector, which asks the server when somebody asks it: what can be
//! read from the image or from a replica is read then, and costs nothing meanwhile.

use std::fmt;
use std::time::Duration;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, MetricEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::Registry;

use super::catalogue::{self, Family, Kind};
use super::handles::Distribution;
use super::recent::{QUANTILES, Recent};

/// How the text is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// `application/openmetrics-text` 1.0.0: the family of a counter is named without `_total`.
    OpenMetrics,
    /// `text/plain` 0.0.4.
    Prometheus,
}

impl Format {
    /// What the `Accept` header of a request asks for.
    pub fn of_accept(accept: &str) -> Format {
        if accept.contains("application/openmetrics-text") { Format::OpenMetrics } else { Format::Prometheus }
    }

    pub const fn content_type(self) -> &'static str {
        match self {
            Format::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
            Format::Prometheus => "text/plain; version=0.0.4; charset=utf-8",
        }
    }
}

/// Writes all numbers when it is asked.
pub struct Exposition {
    registry: Registry,
}

impl Exposition {
    /// `write` is called for each text, and writes each family at most once.
    pub fn new(write: impl Fn(&mut Writer<'_>) -> fmt::Result + Send + Sync + 'static) -> Exposition {
        let mut registry = Registry::default();
        registry.register_collector(Box::new(Collected(Box::new(write))));
        Exposition { registry }
    }

    /// The numbers of now.
    pub fn text(&self, format: Format) -> String {
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &self.registry).expect("a string takes all text");
        match format {
            Format::OpenMetrics => text,
            Format::Prometheus => older(&text),
        }
    }
}

type Write = dyn Fn(&mut Writer<'_>) -> fmt::Result + Send + Sync;

struct Collected(Box<Write>);

impl fmt::Debug for Collected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Collected")
    }
}

impl Collector for Collected {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
        (self.0)(&mut Writer { encoder })
    }
}

/// Where families are written.
pub struct Writer<'a> {
    encoder: DescriptorEncoder<'a>,
}

impl Writer<'_> {
    /// Begins a family; its samples follow.
    pub fn family(&mut self, family: &'static Family) -> Result<Samples<'_>, fmt::Error> {
        let kind = match family.kind {
            Kind::Counter => MetricType::Counter,
            // OpenMetrics has counters with `_total` only.
            Kind::Count => MetricType::Unknown,
            Kind::Gauge => MetricType::Gauge,
            Kind::Histogram => MetricType::Histogram,
        };
        let encoder = self.encoder.encode_descriptor(family.name, family.help, None, kind)?;
        Ok(Samples { family, encoder })
    }

    /// A family of one counter.
    pub fn count(&mut self, family: &'static Family, value: u64) -> fmt::Result {
        self.family(family)?.count(&[], value)
    }

    /// A family of one counter of seconds.
    pub fn seconds(&mut self, family: &'static Family, time: Duration) -> fmt::Result {
        let mut samples = self.family(family)?;
        samples.encoder.encode_counter::<NoLabelSet, f64, f64>(&time.as_secs_f64(), None)
    }

    /// A family of one gauge.
    pub fn level(&mut self, family: &'static Family, value: f64) -> fmt::Result {
        self.family(family)?.level(&[], value)
    }

    /// As [`Writer::level`], of things that are counted.
    pub fn level_of(&mut self, family: &'static Family, count: usize) -> fmt::Result {
        self.family(family)?.level_of(&[], count)
    }
}

/// Where the samples of one family are written. Labels are the values of the family's, in its order; none at all is the sum.
pub struct Samples<'a> {
    family: &'static Family,
    encoder: MetricEncoder<'a>,
}

impl Samples<'_> {
    pub fn count(&mut self, labels: &[&str], value: u64) -> fmt::Result {
        if self.family.kind == Kind::Count {
            return self.labelled(labels, |encoder| encoder.encode_gauge(&value));
        }
        self.labelled(labels, |encoder| encoder.encode_counter::<NoLabelSet, u64, f64>(&value, None))
    }

    pub fn level(&mut self, labels: &[&str], value: f64) -> fmt::Result {
        self.labelled(labels, |encoder| encoder.encode_gauge(&value))
    }

    pub fn level_of(&mut self, labels: &[&str], count: usize) -> fmt::Result {
        self.labelled(labels, |encoder| encoder.encode_gauge(&i64::try_from(count).unwrap_or(i64::MAX)))
    }

    /// An offset or another whole number.
    pub fn whole(&mut self, labels: &[&str], value: i64) -> fmt::Result {
        self.labelled(labels, |encoder| encoder.encode_gauge(&value))
    }

    /// Percentiles of lately, in ms; the last label of the family says which.
    pub fn quantiles(&mut self, labels: &[&str], recent: &Recent) -> fmt::Result {
        for (quantile, shown) in QUANTILES {
            self.level(&[labels, &[shown]].concat(), recent.quantile_ms(quantile))?;
        }
        Ok(())
    }

    /// Durations, shown in ms.
    pub fn durations(&mut self, labels: &[&str], durations: &Distribution) -> fmt::Result {
        let ms = |bound: Option<u64>| bound.map_or(f64::INFINITY, to_ms);
        let buckets: Vec<(f64, u64)> = durations.buckets().map(|(bound, count)| (ms(bound), count)).collect();
        self.labelled(labels, |encoder| {
            encoder.encode_histogram::<NoLabelSet>(to_ms(durations.sum_us()), durations.count(), &buckets, None)
        })
    }

    fn labelled(&mut self, values: &[&str], write: impl FnOnce(&mut MetricEncoder<'_>) -> fmt::Result) -> fmt::Result {
        if values.is_empty() {
            return write(&mut self.encoder);
        }
        debug_assert_eq!(values.len(), self.family.labels.len(), "{}", self.family.name);
        let labels: Vec<(&str, &str)> = self.family.labels.iter().copied().zip(values.iter().copied()).collect();
        write(&mut self.encoder.encode_family(&labels)?)
    }
}

fn to_ms(us: u64) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "beyond 2^53 µs, which are 285 years, a ms is not missed")]
    let us = us as f64;
    us / 1000.0
}

/// OpenMetrics as Prometheus' format 0.0.4: a counter's family has its sample's name there, whatever that is, and there is no end
/// mark.
fn older(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for line in text.lines() {
        let mut words = line.splitn(4, ' ');
        match (words.next(), words.next(), words.next(), words.next()) {
            (Some("#"), Some("EOF"), ..) => {}
            (Some("#"), Some("TYPE"), Some(name), Some("unknown")) => out.push_str(&format!("# TYPE {name} counter\n")),
            (Some("#"), Some(what @ ("HELP" | "TYPE")), Some(name), Some(rest)) if is_counter(name) => {
                out.push_str(&format!("# {what} {name}_total {rest}\n"));
            }
            _ => {
                out.push_str(line);
                out.push('\n');
            }
        }
    }
    out
}

fn is_counter(name: &str) -> bool {
    catalogue::ALL.iter().any(|family| family.name == name && family.kind == Kind::Counter)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::Histogram;
    use crate::metrics::catalogue::{BYTES_IN, FLUSH_COUNT, FLUSH_TIME, FLUSH_TIMES, GROUP_MEMBERS};

    fn exposition() -> Exposition {
        Exposition::new(|writer| {
            let mut bytes = writer.family(&BYTES_IN)?;
            bytes.count(&[], 7)?;
            bytes.count(&["t"], 7)?;
            writer.family(&GROUP_MEMBERS)?.level_of(&["a \"b\" \\ \n c"], 2)?;
            let histogram = Histogram::default();
            histogram.observe_us(70);
            histogram.observe_us(60_000_000);
            let mut recent = Recent::default();
            recent.look(Duration::from_secs(1), &histogram.distribution());
            writer.family(&FLUSH_TIME)?.quantiles(&[], &recent)?;
            writer.count(&FLUSH_COUNT, 2)?;
            writer.family(&FLUSH_TIMES)?.durations(&[], &histogram.distribution())
        })
    }

    #[test]
    fn both_formats_say_the_same() {
        let newer = exposition().text(Format::OpenMetrics);
        let name = BYTES_IN.name;
        assert!(newer.contains(&format!("# TYPE {name} counter\n{name}_total 7\n{name}_total{{topic=\"t\"}} 7\n")));
        assert!(newer.ends_with("# EOF\n"));
        let older = exposition().text(Format::Prometheus);
        assert!(older.contains(&format!("# TYPE {name}_total counter\n{name}_total 7\n")), "{older}");
        assert!(!older.contains("EOF"));
        assert!(older.contains(&format!("# TYPE {} counter\n", FLUSH_COUNT.name)), "{older}");
        let samples = |text: &str| text.lines().filter(|line| !line.starts_with('#')).map(str::to_owned).collect();
        let (newer, older): (Vec<_>, Vec<_>) = (samples(&newer), samples(&older));
        assert_eq!(newer, older);
        assert!(newer.contains(&"kafka_consumergroup_members{consumergroup=\"a \\\"b\\\" \\\\ \\n c\"} 2".to_owned()));
        assert!(newer.contains(&format!("{}_bucket{{le=\"0.1\"}} 1", FLUSH_TIMES.name)), "{newer:?}");
        assert!(newer.contains(&format!("{}_bucket{{le=\"+Inf\"}} 2", FLUSH_TIMES.name)), "{newer:?}");
        assert!(newer.contains(&format!("{}_sum 60000.07", FLUSH_TIMES.name)), "{newer:?}");
        assert!(newer.contains(&format!("{}{{quantile=\"0.50\"}} 0.075", FLUSH_TIME.name)), "{newer:?}");
        assert!(newer.contains(&format!("{}{{quantile=\"0.999\"}} 30000.0", FLUSH_TIME.name)), "{newer:?}");
        assert!(newer.contains(&format!("{} 2", FLUSH_COUNT.name)), "{newer:?}");
    }

    #[test]
    fn a_scraper_gets_the_format_that_it_asks_for() {
        assert_eq!(Format::of_accept("*/*"), Format::Prometheus);
        let prometheus = "application/openmetrics-text;version=1.0.0;q=0.5,text/plain;version=0.0.4;q=0.2,*/*;q=0.1";
        assert_eq!(Format::of_accept(prometheus), Format::OpenMetrics);
    }
}
