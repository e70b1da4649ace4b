use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use metrics::{
    Counter, CounterFn, Gauge, GaugeFn, Histogram, HistogramFn, Key, KeyName, Metadata, Recorder,
    SharedString, Unit,
};

/// What was measured, as text for Prometheus: histograms with their sum and count.
///
/// A program of your own rather takes `metrics-exporter-prometheus`, which has quantiles, buckets and a listener; it
/// would bring this repository more than thirty further crates for one example.
#[derive(Clone, Default)]
pub(crate) struct Page(Arc<Mutex<BTreeMap<String, Family>>>);

/// All measures of one name.
#[derive(Default)]
struct Family {
    kind: &'static str,
    help: String,
    /// By their labels, as they stand on the page.
    series: BTreeMap<String, Arc<Series>>,
}

/// One measure. A counter and a gauge have a value, a histogram has a sum and a count.
#[derive(Debug, Default)]
struct Series {
    count: AtomicU64,
    /// The bits of a float.
    value: AtomicU64,
}

impl Page {
    pub(crate) fn render(&self) -> String {
        let mut page = String::new();
        for (name, family) in self.families().iter() {
            let Family { kind, help, .. } = family;
            let _ = writeln!(page, "# HELP {name} {help}\n# TYPE {name} {kind}");
            for (labels, series) in &family.series {
                let (count, value) = series.read();
                let _ = match *kind {
                    "counter" => writeln!(page, "{name}{labels} {count}"),
                    "gauge" => writeln!(page, "{name}{labels} {value}"),
                    _ => writeln!(
                        page,
                        "{name}_sum{labels} {value}\n{name}_count{labels} {count}"
                    ),
                };
            }
        }
        page
    }

    fn families(&self) -> MutexGuard<'_, BTreeMap<String, Family>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn describe(&self, name: KeyName, help: SharedString) {
        let mut families = self.families();
        families.entry(name.as_str().to_owned()).or_default().help = help.to_string();
    }

    fn series(&self, key: &Key, kind: &'static str) -> Arc<Series> {
        let mut families = self.families();
        let family = families.entry(key.name().to_owned()).or_default();
        family.kind = kind;
        Arc::clone(family.series.entry(labels(key)).or_default())
    }
}

/// `{name="value"}`, or nothing.
fn labels(key: &Key) -> String {
    let labels = key.labels().map(|label| {
        let value = label.value().replace('\\', "\\\\").replace('"', "\\\"");
        format!("{}=\"{}\"", label.key(), value.replace('\n', "\\n"))
    });
    let labels: Vec<_> = labels.collect();
    match labels.is_empty() {
        true => String::new(),
        false => format!("{{{}}}", labels.join(",")),
    }
}

impl Series {
    fn read(&self) -> (u64, f64) {
        let value = f64::from_bits(self.value.load(Ordering::Relaxed));
        (self.count.load(Ordering::Relaxed), value)
    }
}

impl CounterFn for Series {
    fn increment(&self, by: u64) {
        self.count.fetch_add(by, Ordering::Relaxed);
    }

    fn absolute(&self, count: u64) {
        self.count.fetch_max(count, Ordering::Relaxed);
    }
}

impl GaugeFn for Series {
    fn increment(&self, by: f64) {
        GaugeFn::increment(&self.value, by);
    }

    fn decrement(&self, by: f64) {
        GaugeFn::decrement(&self.value, by);
    }

    fn set(&self, value: f64) {
        GaugeFn::set(&self.value, value);
    }
}

impl HistogramFn for Series {
    fn record(&self, value: f64) {
        GaugeFn::increment(&self.value, value);
        self.count.fetch_add(1, Ordering::Relaxed);
    }
}

impl Recorder for Page {
    fn describe_counter(&self, name: KeyName, _: Option<Unit>, help: SharedString) {
        self.describe(name, help);
    }

    fn describe_gauge(&self, name: KeyName, _: Option<Unit>, help: SharedString) {
        self.describe(name, help);
    }

    fn describe_histogram(&self, name: KeyName, _: Option<Unit>, help: SharedString) {
        self.describe(name, help);
    }

    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        Counter::from_arc(self.series(key, "counter"))
    }

    fn register_gauge(&self, key: &Key, _: &Metadata<'_>) -> Gauge {
        Gauge::from_arc(self.series(key, "gauge"))
    }

    fn register_histogram(&self, key: &Key, _: &Metadata<'_>) -> Histogram {
        Histogram::from_arc(self.series(key, "summary"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_has_a_line_for_each_measure_with_its_labels_escaped() {
        let page = Page::default();
        metrics::with_local_recorder(&page, || {
            metrics::describe_counter!("sent_total", "How many");
            metrics::counter!("sent_total", "to" => "a \"b\"").increment(2);
            metrics::gauge!("waiting").set(1.5);
            metrics::histogram!("took_seconds").record(0.25);
            metrics::histogram!("took_seconds").record(0.5);
        });
        let expected = "\
# HELP sent_total How many
# TYPE sent_total counter
sent_total{to=\"a \\\"b\\\"\"} 2
# HELP took_seconds 
# TYPE took_seconds summary
took_seconds_sum 0.75
took_seconds_count 2
# HELP waiting 
# TYPE waiting gauge
waiting 1.5
";
        assert_eq!(page.render(), expected);
    }
}
