//! What an endpoint serves: versions, each with its share of the traffic.

use serde_json::{Map, Value, json};

use super::ramp::ALL;
use crate::names::{ModelName, ModelVersion};
use crate::report::Fault;

/// What only the service writes.
const TOLD: [&str; 5] = ["state", "creator", "creation_timestamp", "foundation_model", "type"];
/// What is made from what is served, or is the service's own.
const OURS: [&str; 4] = ["served_entities", "served_models", "traffic_config", "config_version"];

/// A version behind an endpoint.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Served {
    pub(super) name: String,
    /// The model's full name, and its version.
    pub(super) of: [String; 2],
    /// Its share of the traffic, in percent.
    pub(super) share: u32,
    /// All else that it is served with.
    pub(super) settings: Map<String, Value>,
}

impl Served {
    /// A version that has no share yet.
    pub(super) fn new(
        model: &ModelName,
        version: ModelVersion,
        settings: &Map<String, Value>,
    ) -> Self {
        Self {
            name: format!("{}-{version}", named(&model.name)),
            of: [model.to_string(), version.to_string()],
            share: 0,
            settings: settings.clone(),
        }
    }

    /// Whether this is `wanted`, with all settings that it is wanted with. The service adds
    /// some of its own, and may not tell of what is off.
    fn is(&self, wanted: &Self) -> bool {
        let is_off = |value: &Value| matches!(value, Value::Null | Value::Bool(false));
        let fits = |(name, value): (&String, &Value)| match self.settings.get(name) {
            Some(own) => own == value,
            None => is_off(value),
        };
        self.of == wanted.of && wanted.settings.iter().all(fits)
    }

    fn entity(&self) -> Value {
        let mut fields = self.settings.clone();
        let [model, version] = &self.of;
        fields.insert("name".into(), json!(self.name));
        fields.insert("entity_name".into(), json!(model));
        fields.insert("entity_version".into(), json!(version));
        Value::Object(fields)
    }
}

/// Names of served entities have letters, digits, `-` and `_`.
fn named(model: &str) -> String {
    let fits = |char: char| char.is_ascii_alphanumeric() || char == '_';
    model.chars().map(|char| if fits(char) { char } else { '-' }).collect()
}

#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Split {
    served: Vec<Served>,
    /// All else of the configuration, which is not ours to change.
    rest: Map<String, Value>,
}

impl Split {
    /// The `config` of an endpoint, as the service tells it.
    ///
    /// # Errors
    /// When it serves what is no version of a model.
    pub(super) fn read(config: &Value) -> Result<Self, Fault> {
        let entities = config["served_entities"].as_array().map(Vec::as_slice).unwrap_or_default();
        let routes = config.pointer("/traffic_config/routes").and_then(Value::as_array);
        let share = |name: &str| {
            let is_own = |route: &&Value| {
                ["served_entity_name", "served_model_name"].iter().any(|key| route[*key] == name)
            };
            match routes {
                // What is alone needs no route.
                None if entities.len() == 1 => Some(ALL),
                None => None,
                Some(routes) => match routes.iter().find(is_own) {
                    Some(route) => whole(&route["traffic_percentage"]),
                    None => Some(0),
                },
            }
        };
        let read = |entity: &Value| -> Option<Served> {
            let mut settings = entity.as_object()?.clone();
            settings.retain(|name, _| !TOLD.contains(&name.as_str()));
            let mut text = |name: &str| Some(settings.remove(name)?.as_str()?.to_owned());
            let (name, model) = (text("name")?, text("entity_name")?);
            let version = text("entity_version")?;
            Some(Served { share: share(&name)?, name, of: [model, version], settings })
        };
        let served: Option<Vec<Served>> = entities.iter().map(read).collect();
        let mut rest = config.as_object().cloned().unwrap_or_default();
        rest.retain(|name, _| !OURS.contains(&name.as_str()));
        served.map(|served| Self { served, rest }).ok_or_else(|| {
            Fault::usage("the endpoint serves what is no version of a registered model")
                .hint("give the model an endpoint of its own: `serving.endpoint`")
        })
    }

    /// The same, as it was written down.
    pub(super) fn parse(text: &str) -> Option<Self> {
        Self::read(&serde_json::from_str(text).ok()?).ok()
    }

    /// The `config` that makes an endpoint serve this.
    pub(super) fn config(&self) -> Value {
        let route = |one: &Served| json!({ "served_model_name": one.name, "traffic_percentage": one.share });
        let routes: Vec<Value> = self.served.iter().map(route).collect();
        let entities: Vec<Value> = self.served.iter().map(Served::entity).collect();
        let mut config = self.rest.clone();
        config.insert("served_entities".into(), json!(entities));
        config.insert("traffic_config".into(), json!({ "routes": routes }));
        Value::Object(config)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.served.is_empty()
    }

    /// A model other than this one that is served, too.
    pub(super) fn other_than(&self, model: &ModelName) -> Option<&str> {
        let model = model.to_string();
        self.served.iter().map(|one| one.of[0].as_str()).find(|other| *other != model)
    }

    /// The share of `wanted`, where it is served with its settings.
    pub(super) fn share_of(&self, wanted: &Served) -> Option<u32> {
        self.served.iter().find(|one| one.is(wanted)).map(|one| one.share)
    }

    /// Whether all of the traffic goes to `wanted`, and nothing else is kept for any.
    pub(super) fn is_all(&self, wanted: &Served) -> bool {
        matches!(&self.served[..], [one] if one.is(wanted) && one.share == ALL)
    }

    /// The version under the name that it has here, or under one that nothing else has.
    pub(super) fn name(&self, wanted: &Served) -> Served {
        let own = self.served.iter().find(|one| one.of == wanted.of);
        let mut name = own.map_or_else(|| wanted.name.clone(), |own| own.name.clone());
        while own.is_none() && self.served.iter().any(|one| one.name == name) {
            name.push_str("-new");
        }
        Served { name, ..wanted.clone() }
    }

    /// The versions that are served.
    pub(super) fn versions(&self) -> Vec<ModelVersion> {
        self.served.iter().filter_map(|one| one.of[1].parse().ok().map(ModelVersion)).collect()
    }

    /// Without a version; what it had is shared out among the others.
    pub(super) fn without(&self, version: &Served) -> Self {
        let others = self.served.iter().filter(|one| one.of != version.of);
        Self { served: shared_out(others.cloned().collect(), ALL), rest: self.rest.clone() }
    }

    /// With `share` of the traffic for a version, and the rest for the others, in their
    /// own proportions.
    pub(super) fn with(&self, version: &Served, share: u32) -> Self {
        let Self { served: others, rest } = self.without(version);
        if others.is_empty() || share >= ALL {
            return Self { served: vec![Served { share: ALL, ..version.clone() }], rest };
        }
        let mut served = shared_out(others, ALL - share);
        served.push(Served { share, ..version.clone() });
        Self { served, rest }
    }

    /// Whether `there` sends the same traffic to the same versions, whatever else it says of
    /// them.
    pub(super) fn is_like(&self, there: &Self) -> bool {
        self.is_met(there, |_, _| true)
    }

    /// Whether `there` serves just this, with all settings.
    pub(super) fn is_met_by(&self, there: &Self) -> bool {
        self.is_met(there, |other, one| other.is(one))
    }

    fn is_met(&self, there: &Self, fits: impl Fn(&Served, &Served) -> bool) -> bool {
        let is_met = |one: &Served| {
            there.served.iter().any(|other| {
                (&other.name, &other.of, other.share) == (&one.name, &one.of, one.share)
                    && fits(other, one)
            })
        };
        self.served.len() == there.served.len() && self.served.iter().all(is_met)
    }

    /// `1`, or `1 90 %, 2 10 %`.
    pub(super) fn shown(&self) -> String {
        match &self.served[..] {
            [] => "nothing".into(),
            [one] if one.share == ALL => one.of[1].clone(),
            several => {
                let each = several.iter().map(|one| format!("{} {} %", one.of[1], one.share));
                each.collect::<Vec<_>>().join(", ")
            }
        }
    }
}

/// Percentages are numbers, or texts that hold one.
fn whole(value: &Value) -> Option<u32> {
    let number = value.as_u64().or_else(|| value.as_str()?.parse().ok())?;
    u32::try_from(number).ok()
}

/// Gives each its part of `share` in whole percent, by the largest remainders. What had
/// nothing together gets equal parts.
fn shared_out(mut served: Vec<Served>, share: u32) -> Vec<Served> {
    let had: u64 = served.iter().map(|one| u64::from(one.share)).sum();
    let count = served.len() as u64;
    let part = |one: &Served| match had {
        0 => (u64::from(share), count),
        _ => (u64::from(share) * u64::from(one.share), had),
    };
    let parts: Vec<(u64, u64)> = served.iter().map(part).collect();
    let mut left = u64::from(share)
        - parts.iter().map(|(all, by)| all / by).sum::<u64>().min(u64::from(share));
    let mut order: Vec<usize> = (0..served.len()).collect();
    order.sort_by_key(|at| std::cmp::Reverse(parts[*at].0 % parts[*at].1));
    for (one, (all, by)) in served.iter_mut().zip(&parts) {
        one.share = u32::try_from(all / by).unwrap_or(0);
    }
    for at in order {
        if left > 0 {
            served[at].share += 1;
            left -= 1;
        }
    }
    served
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn served(version: u64, share: u32) -> Served {
        let settings = json!({ "workload_size": "Small" }).as_object().unwrap().clone();
        let own = Served::new(&"a.b.m".parse().unwrap(), ModelVersion(version), &settings);
        Served { share, ..own }
    }

    #[test]
    fn what_the_service_tells_is_read_and_written_without_what_is_its_own() {
        let told = json!({
            "config_version": 3,
            "auto_capture_config": { "catalog_name": "a", "enabled": true },
            "served_entities": [
                { "name": "m-1", "entity_name": "a.b.m", "entity_version": "1", "workload_size": "Small",
                  "workload_type": "CPU", "state": { "deployment": "DEPLOYMENT_READY" }, "creator": "x" },
            ],
            "traffic_config": { "routes": [{ "served_model_name": "m-1", "served_entity_name": "m-1", "traffic_percentage": 100 }] },
        });
        let split = Split::read(&told).unwrap();
        assert!(split.is_all(&served(1, 0)) && split.shown() == "1");
        assert_eq!(split.config()["served_entities"][0].get("state"), None);
        // What is not ours comes back as it was.
        assert_eq!(split.config()["auto_capture_config"], told["auto_capture_config"]);
        assert_eq!(split.config().get("config_version"), None);
        assert_eq!(split.config()["served_entities"][0]["workload_type"], "CPU");
        assert_eq!(Split::parse(&split.config().to_string()).unwrap(), split);
        let larger = json!({ "workload_size": "Large" }).as_object().unwrap().clone();
        assert!(!split.is_all(&Served { settings: larger, ..served(1, 0) }));
        let mut off = served(1, 0);
        off.settings.insert("scale_to_zero_enabled".into(), json!(false));
        assert!(split.is_all(&off));
        for foreign in [
            json!({ "served_entities": [{ "name": "x", "external_model": {} }] }),
            json!({ "served_entities": [{ "name": "x", "entity_name": "a.b.m", "entity_version": "1" }, { "name": "y", "entity_name": "a.b.m", "entity_version": "2" }] }),
        ] {
            assert!(Split::read(&foreign).is_err());
        }
        assert!(Split::read(&Value::Null).unwrap().is_empty());
    }

    #[test]
    fn a_candidate_takes_its_share_from_the_others() {
        let split = |served: Vec<Served>| Split { served, ..Split::default() };
        let one = split(vec![served(1, 100)]);
        assert_eq!(one.with(&served(2, 0), 10).shown(), "1 90 %, 2 10 %");
        assert_eq!(one.with(&served(2, 0), 0).shown(), "1 100 %, 2 0 %");
        assert_eq!(one.with(&served(2, 0), 100).shown(), "2");
        assert_eq!(Split::default().with(&served(2, 0), 10).shown(), "2");
        let two = split(vec![served(1, 70), served(2, 30)]);
        assert_eq!(two.with(&served(3, 0), 10).shown(), "1 63 %, 2 27 %, 3 10 %");
        assert_eq!(two.with(&served(2, 0), 50).shown(), "1 50 %, 2 50 %");
        assert_eq!(two.without(&served(1, 0)).shown(), "2");
        assert!(two.is_met_by(&split(vec![served(2, 30), served(1, 70)])));
        assert!(!two.is_like(&split(vec![served(2, 70), served(1, 30)])) && !one.is_like(&two));
        let larger = json!({ "workload_size": "Large" }).as_object().unwrap().clone();
        let larger = split(vec![Served { settings: larger, ..served(1, 100) }]);
        assert!(one.is_like(&larger) && !one.is_met_by(&larger));
        // By hand, under the name that another version would have.
        let odd = split(vec![Served { name: "m-2".into(), ..served(1, 100) }]);
        let named = odd.name(&served(2, 0));
        assert_eq!((&*named.name, &*odd.name(&served(1, 0)).name), ("m-2-new", "m-2"));
        assert_eq!(odd.with(&named, 10).shown(), "1 90 %, 2 10 %");
        assert_eq!(two.other_than(&"a.b.m".parse().unwrap()), None);
        assert_eq!(two.other_than(&"a.b.n".parse().unwrap()), Some("a.b.m"));
    }

    proptest! {
        #[test]
        fn shares_always_are_whole_percents_of_all(
            had in proptest::collection::vec(0u32..=100, 1..9),
            share in 0u32..=100,
        ) {
            let served: Vec<Served> = had.iter().zip(1..).map(|(share, version)| served(version, *share)).collect();
            let split = Split { served, ..Split::default() }.with(&self::served(99, 0), share);
            prop_assert_eq!(split.served.iter().map(|one| one.share).sum::<u32>(), ALL);
            let total: u32 = had.iter().sum();
            for (one, had) in split.served.iter().zip(&had) {
                if share < ALL && total > 0 {
                    let exact = f64::from(ALL - share) * f64::from(*had) / f64::from(total);
                    prop_assert!((f64::from(one.share) - exact).abs() < 2.0, "{} {exact}", one.share);
                }
            }
        }

        #[test]
        fn no_config_breaks_the_reader(text in "\\PC{0,200}") {
            let _read = Split::parse(&text);
        }
    }
}
