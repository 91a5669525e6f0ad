//! A stand-in for the agent of Azure Pipelines: it reads a pipeline, and runs the
//! tasks of our extension by their own shim.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};

use crate::support::{git, root, text, within};

type Variables = BTreeMap<String, String>;

/// Told of an environment, and of the run that enters it.
pub(crate) type Watch<'a> = Box<dyn Fn(&str, u32) + 'a>;

/// A machine with one repository on it.
pub(crate) struct Agent<'a> {
    /// The unpacked extension.
    pub(crate) extension: &'a Path,
    pub(crate) home: &'a Path,
    /// Temporary files, tools and artifacts.
    pub(crate) place: &'a Path,
    /// Variable groups by their names.
    pub(crate) groups: BTreeMap<String, Variables>,
    /// What the agent tells every step, and what this machine has.
    pub(crate) machine: Variables,
    pub(crate) parameters: Variables,
    /// Stages that whoever starts the run leaves out.
    pub(crate) skip: &'static [&'static str],
    pub(crate) builds: std::cell::Cell<u32>,
    /// Somebody who looks at an environment before a run enters it.
    pub(crate) approve: Watch<'a>,
}

/// How a run went.
#[derive(Debug, Default)]
pub(crate) struct Ran {
    /// Of each stage, or of the only one: `Succeeded` and so on.
    pub(crate) stages: Vec<(String, &'static str)>,
    pub(crate) commands: Vec<Said>,
    /// Heads of commands that a step in restricted mode may not give.
    pub(crate) refused: Vec<String>,
    /// Outputs by `stage.job.step.name`.
    pub(crate) outputs: Variables,
    pub(crate) log: String,
}

impl Ran {
    pub(crate) fn results(&self) -> Vec<&'static str> {
        self.stages.iter().map(|(_, result)| *result).collect()
    }

    /// What the steps wrote for people, without what Markdown needs.
    pub(crate) fn summary(&self) -> String {
        let files = self.commands.iter().filter(|said| said.head == "task.uploadsummary");
        let told: String =
            files.map(|said| std::fs::read_to_string(&said.message).unwrap()).collect();
        told.replace('\\', "")
    }

    pub(crate) fn told(&self, head: &str, words: &str) -> bool {
        self.commands.iter().any(|said| said.is(head, words))
    }
}

fn items(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

fn word(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// A template of the suite, filled by whoever uses it.
fn template(name: &str, given: &Value) -> Value {
    let file = name.strip_suffix("@lakegate").unwrap_or_else(|| panic!("{name}"));
    let text = std::fs::read_to_string(root().join(file)).unwrap_or_else(|_| panic!("{name}"));
    let template: Value = serde_yaml::from_str(&text).unwrap();
    let given = given.as_object().cloned().unwrap_or_default();
    let mut known = BTreeMap::new();
    for parameter in items(&template["parameters"]) {
        let name = word(&parameter["name"]);
        let value = given.get(&name).or_else(|| parameter.get("default"));
        let value = value.unwrap_or_else(|| panic!("{parameter} is not given"));
        known.insert(name, value.clone());
    }
    assert!(given.keys().all(|name| known.contains_key(name)), "{name}: {given:?}");
    expand(&template, &known)
}

/// What the service makes of templates, `${{ if … }}` keys and `${{ parameters.… }}` values.
pub(crate) fn expand(value: &Value, parameters: &BTreeMap<String, Value>) -> Value {
    match value {
        Value::Object(fields) => {
            let mut out = serde_json::Map::new();
            for (key, value) in fields {
                let value = expand(value, parameters);
                let Some(condition) = key.strip_prefix("${{ if ") else {
                    out.insert(key.clone(), value);
                    continue;
                };
                let known = |name: &str| parameters.get(name.strip_prefix("parameters.")?);
                let condition = condition.trim_end_matches("}}").trim();
                if holds(condition, true, &|name| known(name).map(word)) {
                    out.extend(value.as_object().unwrap().clone());
                }
            }
            if let Some(extends) = out.remove("extends") {
                assert_eq!(out["resources"]["repositories"][0]["repository"], "lakegate");
                return template(&word(&extends["template"]), &extends["parameters"]);
            }
            for level in ["stages", "jobs", "steps"] {
                let Some(list) = out.get_mut(level).and_then(Value::as_array_mut) else { continue };
                let of_template = |item: Value| match item["template"].as_str() {
                    Some(name) => {
                        let filled = template(name, &item["parameters"]);
                        filled[level].as_array().unwrap_or_else(|| panic!("{name}")).clone()
                    }
                    None => vec![item],
                };
                *list = std::mem::take(list).into_iter().flat_map(of_template).collect();
            }
            Value::Object(out)
        }
        Value::Array(all) => {
            let inserted = |item: &Value| match item.as_object()?.iter().next()? {
                (key, list) if key.starts_with("${{ if ") => {
                    // What is inserted where it holds, a field of the same name shows.
                    let field = expand(&json!({key: {"list": list}}), parameters);
                    Some(field["list"].as_array().cloned().unwrap_or_default())
                }
                _ => None,
            };
            let items = all
                .iter()
                .flat_map(|item| inserted(item).unwrap_or_else(|| vec![expand(item, parameters)]));
            items.collect()
        }
        Value::String(text) => {
            let mut text = text.clone();
            for (name, value) in parameters {
                let place = format!("${{{{ parameters.{name} }}}}");
                if text == place {
                    return value.clone();
                }
                text = text.replace(&place, &word(value));
            }
            Value::String(text)
        }
        other => other.clone(),
    }
}

impl Agent<'_> {
    pub(crate) fn run(&self, file: &str) -> Ran {
        let text = std::fs::read_to_string(self.home.join(file)).unwrap();
        let pipeline: Value = serde_yaml::from_str(&text).unwrap();
        let own = items(&pipeline["parameters"])
            .map(|parameter| (word(&parameter["name"]), parameter["default"].clone()));
        let given = self.parameters.iter().map(|(name, value)| (name.clone(), json!(value)));
        let pipeline = expand(&pipeline, &own.chain(given).collect());
        drop(std::fs::remove_dir_all(self.place.join("workspace")));
        self.builds.set(self.builds.get() + 1);
        let mut ran = Ran::default();
        let mut variables = self.variables(&pipeline["variables"], &ran);
        for (name, value) in [
            ("Build.BuildId", self.builds.get().to_string()),
            ("System.StageAttempt", "1".to_owned()),
            ("System.JobAttempt", "1".to_owned()),
            ("Build.Reason", self.machine.get("BUILD_REASON").cloned().unwrap_or_default()),
            ("Pipeline.Workspace", self.place.join("workspace").display().to_string()),
        ] {
            variables.insert(name.to_owned(), value);
        }
        if pipeline["stages"].is_null() {
            self.stage("only", &pipeline, &variables, &mut ran);
            return ran;
        }
        let mut before = None;
        for stage in items(&pipeline["stages"]) {
            let name = word(&stage["stage"]);
            if self.skip.contains(&&*name) {
                continue;
            }
            let needs: Vec<String> = match &stage["dependsOn"] {
                Value::Null => before.take().into_iter().collect(),
                Value::Array(all) => all.iter().map(word).collect(),
                one => vec![word(one)],
            };
            before = Some(name.clone());
            let good = |need: &String| {
                ran.stages.iter().any(|(own, result)| own == need && result.starts_with("Succ"))
            };
            let is_good = needs.iter().all(good);
            let known = |reference: &str| {
                if let Some(name) = reference.strip_prefix("variables['") {
                    return variables.get(name.trim_end_matches("']")).cloned();
                }
                // dependencies.STAGE.outputs['JOB.STEP.NAME']
                let rest = reference.strip_prefix("dependencies.")?;
                let (stage, rest) = rest.split_once(".outputs['")?;
                ran.outputs.get(&format!("{stage}.{}", rest.trim_end_matches("']"))).cloned()
            };
            let condition = stage["condition"].as_str().unwrap_or("succeeded()");
            if !holds(condition, is_good, &known) {
                ran.stages.push((name, "Skipped"));
                continue;
            }
            let mut own = variables.clone();
            own.extend(self.variables(&stage["variables"], &ran));
            for environment in items(&stage["jobs"]).filter_map(|job| job["environment"].as_str()) {
                (self.approve)(environment, self.builds.get());
            }
            self.stage(&name, stage, &own, &mut ran);
        }
        ran
    }

    fn variables(&self, list: &Value, ran: &Ran) -> Variables {
        let mut found = Variables::new();
        for item in items(list) {
            if let Some(group) = item["group"].as_str() {
                let own = self.groups.get(group).unwrap_or_else(|| panic!("no group {group}"));
                found.extend(own.clone());
                continue;
            }
            let value = word(&item["value"]);
            // $[ stageDependencies.STAGE.JOB.outputs['STEP.NAME'] ]
            let runtime = value.strip_prefix("$[ stageDependencies.").map(|rest| {
                let (place, rest) = rest.split_once(".outputs['").unwrap();
                let name = format!("{place}.{}", rest.trim_end_matches("'] ]"));
                let step = &name[..=name.rfind('.').unwrap()];
                let has_run = ran.outputs.keys().any(|known| known.starts_with(step));
                let value = ran.outputs.get(&name).cloned();
                assert!(value.is_some() || !has_run, "the step has no output {name}");
                value.unwrap_or_default()
            });
            found.insert(word(&item["name"]), runtime.unwrap_or(value));
        }
        found
    }

    fn stage(&self, name: &str, stage: &Value, variables: &Variables, ran: &mut Ran) {
        let mut result = "Succeeded";
        for job in items(&stage["jobs"]) {
            // Each job has a machine of its own, with what git holds.
            git(self.home, &["clean", "-fdxq", "-e", ".venv"]);
            let is_deployment = job.get("deployment").is_some();
            assert_eq!(is_deployment, job.get("environment").is_some(), "{job}");
            let own = word(job.get("job").or_else(|| job.get("deployment")).unwrap());
            let steps = job.get("steps").or_else(|| job.pointer("/strategy/runOnce/deploy/steps"));
            let mut work =
                Job { agent: self, stage: name, job: &own, variables: variables.clone() };
            let ended = work.run(steps.unwrap(), ran);
            if ended != "Succeeded" {
                result = ended;
            }
        }
        ran.stages.push((name.to_owned(), result));
    }
}

struct Job<'a> {
    agent: &'a Agent<'a>,
    stage: &'a str,
    job: &'a str,
    variables: Variables,
}

impl Job<'_> {
    fn run(&mut self, steps: &Value, ran: &mut Ran) -> &'static str {
        let mut result = "Succeeded";
        for step in items(steps) {
            let condition = step["condition"].as_str().unwrap_or("succeeded()");
            let known = |name: &str| {
                let name = name.strip_prefix("variables['")?.strip_suffix("']")?;
                self.variables.get(name).cloned()
            };
            if !holds(condition, result != "Failed", &known) {
                continue;
            }
            match self.step(step, ran) {
                "Succeeded" => {}
                worse if result != "Failed" => result = worse,
                _ => {}
            }
        }
        result
    }

    fn filled(&self, text: &str) -> String {
        let fill = |text: String, (name, value): (&String, &String)| {
            text.replace(&format!("$({name})"), value)
        };
        self.variables.iter().fold(text.to_owned(), fill)
    }

    fn step(&mut self, step: &Value, ran: &mut Ran) -> &'static str {
        let agent = self.agent;
        let text = |name: &str| step[name].as_str().map(|text| self.filled(text));
        if let Some(script) = text("bash") {
            let mut bash = Command::new("bash");
            bash.args(["-c", &script]);
            return self.process(step, &Value::Null, bash, ran);
        }
        if let Some(artifact) = text("artifact") {
            let artifact = agent.place.join("artifacts").join(artifact);
            if let Some(from) = text("publish") {
                let from = agent.home.join(from);
                assert!(!artifact.exists(), "{} is there already", artifact.display());
                if !from.is_dir() {
                    ran.log += &format!("nothing at {}\n", from.display());
                    return "Failed";
                }
                copy(&from, &artifact);
            } else {
                let name = artifact.file_name().unwrap().to_owned();
                copy(&artifact, &agent.place.join("workspace").join(name));
            }
            return "Succeeded";
        }
        match text("task").as_deref() {
            None => assert!(step.get("checkout").is_some(), "{step}"),
            Some("UsePythonVersion@0") => {}
            Some("PublishTestResults@2") => {
                for file in step["inputs"]["testResultsFiles"].as_str().unwrap().lines() {
                    let (folder, name) = file.trim().rsplit_once('/').unwrap();
                    let (start, end) = name.split_once('*').unwrap_or((name, ""));
                    let mut files = std::fs::read_dir(agent.home.join(folder)).unwrap();
                    let is_it = |name: &str| name.starts_with(start) && name.ends_with(end);
                    let found =
                        files.any(|entry| is_it(&entry.unwrap().file_name().display().to_string()));
                    assert!(found, "{file}");
                }
            }
            Some(task) => return self.task(task, step, ran),
        }
        "Succeeded"
    }

    fn task(&mut self, task: &str, step: &Value, ran: &mut Ran) -> &'static str {
        let (name, major) = task.split_once('@').unwrap();
        let folders = std::fs::read_dir(self.agent.extension).unwrap();
        let known = folders.filter_map(|entry| {
            let folder = entry.unwrap().path();
            let text = std::fs::read_to_string(folder.join("task.json")).ok()?;
            Some((folder, serde_json::from_str::<Value>(&text).unwrap()))
        });
        let (folder, manifest) = known.into_iter().find(|(_, task)| task["name"] == name).unwrap();
        assert_eq!(manifest["version"]["Major"].to_string(), major);
        let mut node = Command::new("node");
        node.arg(folder.join("shim.js"));
        let given = step["inputs"].as_object().cloned().unwrap_or_default();
        for input in items(&manifest["inputs"]) {
            let key = input["name"].as_str().unwrap();
            let mut value = given.get(key).map_or_else(|| word(&input["defaultValue"]), word);
            if input["type"] == "filePath" {
                // Blank or not, the agent makes a path below the sources of it.
                value = self.agent.home.join(value).display().to_string();
            }
            node.env(format!("INPUT_{}", key.to_uppercase()), self.filled(&value));
        }
        for key in given.keys() {
            assert!(items(&manifest["inputs"]).any(|input| input["name"] == **key), "{key}");
        }
        node.env("ENDPOINT_AUTH_PARAMETER_SYSTEMVSSCONNECTION_ACCESSTOKEN", "job-token");
        if let Some(binaries) = self.agent.machine.get("binaries") {
            node.env("INPUT_BINARYPATH", binaries);
        }
        self.process(step, &manifest["restrictions"], node, ran)
    }

    /// Runs a program as a step, and does what it says to the agent within what it may.
    fn process(
        &mut self,
        step: &Value,
        restrictions: &Value,
        mut command: Command,
        ran: &mut Ran,
    ) -> &'static str {
        let agent = self.agent;
        let own = step["name"].as_str().or_else(|| step["task"].as_str()).unwrap_or("script");
        for (name, value) in agent.machine.iter().chain(&self.variables) {
            command.env(name.to_uppercase().replace('.', "_"), value);
        }
        command
            .current_dir(agent.home)
            .env("SYSTEM_STAGENAME", self.stage)
            .env("SYSTEM_JOBNAME", self.job)
            .env("SYSTEM_TASKINSTANCENAME", own)
            .env("SYSTEM_JOBATTEMPT", "1")
            .env("AGENT_TEMPDIRECTORY", agent.place)
            .env("AGENT_NAME", "agent 1")
            .env("TF_BUILD", "True");
        let output = within(Duration::from_secs(300), &mut command);
        let said = text(&output.stdout);
        ran.log += &format!("== {own}\n{said}{}", text(&output.stderr));
        let mut result = if output.status.success() { "Succeeded" } else { "Failed" };
        for said in commands(&said) {
            if !may_say(&said, &step["target"], restrictions) {
                assert!(!step["target"].is_null(), "{own} says {}", said.head);
                ran.refused.push(said.head);
                continue;
            }
            match said.name() {
                "task.complete" => {
                    result = match &*said.properties["result"] {
                        "Failed" => "Failed",
                        "SucceededWithIssues" if result != "Failed" => "SucceededWithIssues",
                        _ => result,
                    };
                }
                "task.setvariable" => {
                    assert_eq!(said.properties["isoutput"], "true", "{}", said.head);
                    let name = &said.properties["variable"];
                    let full = format!("{}.{}.{own}.{name}", self.stage, self.job);
                    ran.outputs.insert(full, said.message.clone());
                    self.variables.insert(format!("{own}.{name}"), said.message.clone());
                }
                "artifact.upload" => {
                    let folder =
                        agent.place.join("artifacts").join(&said.properties["artifactname"]);
                    let file = Path::new(&said.message);
                    std::fs::create_dir_all(&folder).unwrap();
                    std::fs::copy(file, folder.join(file.file_name().unwrap())).unwrap();
                }
                _ => {}
            }
            ran.commands.push(said);
        }
        result
    }
}

/// A command to the agent.
#[derive(Debug)]
pub(crate) struct Said {
    /// As it was written.
    pub(crate) head: String,
    pub(crate) properties: Variables,
    pub(crate) message: String,
}

impl Said {
    pub(crate) fn name(&self) -> &str {
        self.head.split(' ').next().unwrap_or_default()
    }

    pub(crate) fn is(&self, head: &str, words: &str) -> bool {
        self.head.starts_with(head) && self.message.contains(words)
    }
}

/// The commands of an output as the agent reads them: anywhere in a line, to the
/// first `]`; properties by their names in any case; and with what it takes back of
/// what was escaped, the percent last.
pub(crate) fn commands(output: &str) -> Vec<Said> {
    let plain = |text: &str| {
        let marks = [("%3B", ";"), ("%0D", "\r"), ("%0A", "\n"), ("%5D", "]"), ("%AZP25", "%")];
        marks.into_iter().fold(text.to_owned(), |text, (mark, char)| text.replace(mark, char))
    };
    let read = |line: &str| {
        let (_, rest) = line.split_once("##vso[")?;
        let (head, message) = rest.split_once(']')?;
        let properties = head.split_once(' ').map_or("", |(_, rest)| rest).split(';');
        let properties = properties.filter_map(|property| property.split_once('='));
        let properties = properties.map(|(name, value)| (name.to_lowercase(), plain(value)));
        let (properties, message) = (properties.collect(), plain(message));
        Some(Said { head: head.to_owned(), properties, message })
    };
    output.lines().filter_map(read).collect()
}

/// What the agent does in its restricted mode.
const SAFE: [&str; 10] = [
    "task.complete",
    "task.debug",
    "task.logdetail",
    "task.logissue",
    "task.prependpath",
    "task.setprogress",
    "task.setsecret",
    "task.settaskvariable",
    "task.setvariable",
    "telemetry.publish",
];

/// By the step's own words in the pipeline, and by those of its task.
fn may_say(said: &Said, target: &Value, task: &Value) -> bool {
    if target["commands"] == "restricted" && !SAFE.contains(&said.name()) {
        return false;
    }
    let Some(variable) = said.properties.get("variable") else { return true };
    [&target["settableVariables"], &task["settableVariables"]["allowed"]].into_iter().all(|list| {
        match list {
            Value::Null => true,
            none if none == "none" => false,
            some => items(some).any(|allowed| allowed == variable),
        }
    })
}

pub(crate) fn copy(from: &Path, to: &Path) {
    for file in lakegate::sys::fs::files_below(from).unwrap() {
        let to: PathBuf = to.join(&file);
        std::fs::create_dir_all(to.parent().unwrap()).unwrap();
        std::fs::copy(from.join(&file), to).unwrap();
    }
}

/// Whether a condition holds, of the functions that our pipelines use.
fn holds(condition: &str, is_good: bool, known: &dyn Fn(&str) -> Option<String>) -> bool {
    let (name, rest) = condition.trim().split_once('(').unwrap();
    let rest = rest.strip_suffix(')').unwrap();
    let parts = arguments(rest);
    let value = |text: &str| match text.strip_prefix('\'') {
        Some(literal) => literal.trim_end_matches('\'').to_owned(),
        None => known(text).unwrap_or_default(),
    };
    match (name, &parts[..]) {
        ("succeeded", []) => is_good,
        ("always" | "succeededOrFailed", []) => true,
        ("canceled", []) => false,
        ("not", [part]) => !holds(part, is_good, known),
        ("or", parts) => parts.iter().any(|part| holds(part, is_good, known)),
        ("and", parts) => parts.iter().all(|part| holds(part, is_good, known)),
        ("eq", [one, other]) => value(one).eq_ignore_ascii_case(&value(other)),
        ("ne", [one, other]) => !value(one).eq_ignore_ascii_case(&value(other)),
        _ => panic!("{condition} is not understood"),
    }
}

fn arguments(text: &str) -> Vec<&str> {
    let (mut parts, mut depth, mut start) = (Vec::new(), 0, 0);
    for (at, char) in text.char_indices() {
        match char {
            '(' | '[' => depth += 1,
            ')' | ']' => depth -= 1,
            ',' if depth == 0 => {
                parts.push(text[start..at].trim());
                start = at + 1;
            }
            _ => {}
        }
    }
    if !text.trim().is_empty() {
        parts.push(text[start..].trim());
    }
    parts
}
