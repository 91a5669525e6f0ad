//! The pages of the lakehouse tables, from the rows' own definitions.

use std::fmt::Write as _;

use crate::record::TABLES;

/// What a table is asked: the command that writes it, the question, the statement.
struct Asked {
    table: &'static str,
    by: &'static [&'static str],
    question: &'static str,
    statement: &'static str,
}

const ASKED: [Asked; 9] = [
    Asked {
        table: "merge_tests",
        by: &["merge-test"],
        question: "How many runs pass, by month?",
        statement: "\
SELECT substr(at, 1, 7) AS month, count(*) AS runs,
       avg(CASE WHEN verdict = 'pass' THEN 1.0 ELSE 0.0 END) AS passed
FROM merge_tests
GROUP BY substr(at, 1, 7)
ORDER BY month",
    },
    Asked {
        table: "deployments",
        by: &["bundle-deploy"],
        question: "What runs where, and since when?",
        statement: "\
SELECT workspace, target, bundle, release, commit_id, actor, at
FROM (SELECT *, row_number() OVER (PARTITION BY workspace, target, bundle ORDER BY at DESC) AS place
      FROM deployments) AS newest
WHERE place = 1 AND kind <> 'destroy'",
    },
    Asked {
        table: "gate_results",
        by: &["model-gate"],
        question: "Which rules reject most?",
        statement: "\
SELECT model, kind, rule, count(DISTINCT evidence) AS rejected
FROM gate_results
WHERE rule_verdict = 'fail'
GROUP BY model, kind, rule
ORDER BY rejected DESC",
    },
    Asked {
        table: "sign_offs",
        by: &["model-promote"],
        question: "Who agreed to which version, and who overruled a gate?",
        statement: "\
SELECT model, version, kind, who, source, reason, at
FROM sign_offs
WHERE kind IN ('approval', 'override')
ORDER BY at",
    },
    Asked {
        table: "promotions",
        by: &["model-promote", "drift-check"],
        question: "Which version had the alias, from when to when? (`champion` is that of `promotion.alias`.)",
        statement: "\
SELECT model, to_version AS version, at AS since,
       lead(at) OVER (PARTITION BY model ORDER BY at) AS until, actor, reason
FROM promotions
WHERE phase = 'outcome' AND alias = 'champion'
ORDER BY model, at",
    },
    Asked {
        table: "promotion_fences",
        by: &["model-promote", "model-serve", "drift-check"],
        question: "Who moves an alias at this moment?",
        statement: "\
SELECT model, alias, holder, epoch
FROM promotion_fences
WHERE lease_until > unix_millis(current_timestamp())",
    },
    Asked {
        table: "rollouts",
        by: &["model-serve"],
        question: "Which roll-outs were stopped, at which share of the traffic, and why?",
        statement: "\
SELECT endpoint, to_version, traffic, requests, failed, p95_ms, reason, at
FROM rollouts
WHERE kind = 'rollout' AND phase = 'restored'
ORDER BY at DESC",
    },
    Asked {
        table: "drift_results",
        by: &["drift-check"],
        question: "Which columns drift most often?",
        statement: "\
SELECT current, column_name, count(*) AS checks,
       sum(CASE WHEN drifted THEN 1 ELSE 0 END) AS drifted, max(effect) AS largest
FROM drift_results
WHERE slice_key IS NULL AND window_start IS NULL
GROUP BY current, column_name
HAVING sum(CASE WHEN drifted THEN 1 ELSE 0 END) > 0
ORDER BY drifted DESC",
    },
    Asked {
        table: "drift_decisions",
        by: &["drift-check"],
        question: "What did drift lead to?",
        statement: "\
SELECT window_id, state, reaction, target, reason, run_url, at
FROM drift_decisions
WHERE phase = 'outcome' AND state IN ('drift', 'broken')
ORDER BY at DESC",
    },
];

/// A page of all, and one for each, by their paths.
pub(super) fn pages() -> Vec<(String, String)> {
    let mut all = "# Tables\n\nWith `record.schema`, every command records what it did, in Delta tables of that schema. They are made when they are\nneeded, rows are only added, and a repetition adds none: rows are merged by `event_id`.\nA table that an earlier version made is given the columns that are new.\n\n| table | written by | |\n|---|---|---|\n".to_owned();
    let mut pages = Vec::new();
    for (name, about, columns) in TABLES {
        let mut page = format!("# {name}\n\n{about}\n");
        if let Some(asked) = ASKED.iter().find(|asked| asked.table == name) {
            let Asked { by, question, statement, .. } = asked;
            let links = |up: &str| {
                let links = by.iter().map(|by| format!("[`{by}`]({up}{by}.md)"));
                links.collect::<Vec<_>>().join(" and ")
            };
            _ = writeln!(all, "| [`{name}`](tables/{name}.md) | {} | {about} |", links(""));
            _ = writeln!(page, "\nWritten by {}. {question}", links("../"));
            _ = writeln!(page, "\n```sql\n{statement}\n```");
        }
        _ = writeln!(page, "\n| column | type | |\n|---|---|---|");
        for (column, kind, about) in columns {
            _ = writeln!(page, "| `{column}` | {kind} | {about} |");
        }
        pages.push((format!("docs/tables/{name}.md"), page));
    }
    pages.push(("docs/tables.md".to_owned(), all));
    pages
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_table_is_asked_something() {
        for (name, ..) in TABLES {
            assert!(ASKED.iter().any(|asked| asked.table == name), "{name}");
        }
    }
}
