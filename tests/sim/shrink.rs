//! Makes a failing plan smaller as long as the failure is the same.

use crate::plan::{Content, Plan};

/// The kind of a failure: its text up to the first colon.
pub(crate) fn class(failure: &str) -> &str {
    failure.split(':').next().unwrap_or(failure)
}

/// Returns the smallest failing plan found, and its failure. `fails` runs a plan.
pub(crate) fn shrink(plan: Plan, failure: String, fails: &dyn Fn(&Plan) -> Option<String>) -> (Plan, String) {
    let (mut plan, mut failure, mut tries) = (plan, failure, 2000);
    loop {
        let smaller = candidates(&plan).into_iter().find_map(|candidate| {
            tries -= 1;
            let found = (tries > 0).then(|| fails(&candidate)).flatten();
            found.filter(|found| class(found) == class(&failure)).map(|found| (candidate, found))
        });
        match smaller {
            Some(found) => (plan, failure) = found,
            None => return (plan, failure),
        }
    }
}

fn candidates(plan: &Plan) -> Vec<Plan> {
    let mut all = Vec::new();
    let mut add = |change: &dyn Fn(&mut Plan)| {
        let mut candidate = plan.clone();
        change(&mut candidate);
        if candidate != *plan && candidate.rows > 0 && candidate.part_rows > 0 {
            all.push(candidate);
        }
    };
    for at in 0..plan.steps.len() {
        add(&|plan| drop(plan.steps.remove(at)));
    }
    for at in 0..plan.steps.len() {
        add(&|plan| plan.steps[at].stop = None);
        add(&|plan| plan.steps[at].source = None);
        add(&|plan| plan.steps[at].writes_report = true);
        for fault in 0..plan.steps[at].faults.len() {
            add(&|plan| {
                plan.steps[at].faults.remove(fault);
            });
        }
    }
    add(&|plan| plan.moody = false);
    add(&|plan| plan.choppy = false);
    add(&|plan| plan.part_rows = plan.rows);
    add(&|plan| {
        plan.rows -= 1;
        let rows = plan.rows;
        for step in &mut plan.steps {
            if let Some(Content { version: 0, rows: own, .. }) = &mut step.source {
                *own = rows;
            }
        }
    });
    add(&|plan| plan.attempts = 1);
    for at in 0..plan.steps.len() {
        add(&|plan| plan.steps[at].after = 0);
    }
    all
}
